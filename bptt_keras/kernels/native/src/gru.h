// The GRU that applies the reset gate after the product, as in kernels/gru.py:
//     p = x_t W + b;   m = h_{t-1} U + b_r;   both split into z, r, g
//     z = sigmoid(p_z + m_z);   r = sigmoid(p_r + m_r);   g = tanh(p_g + r m_g)
//     h_t = z h_{t-1} + (1 - z) g
// and backward:
//     d_p_g = d_h (1 - z) (1 - g^2);   d_m_g = d_p_g r
//     d_z_z = d_h (h_{t-1} - g) z (1 - z);   d_z_r = d_p_g m_g r (1 - r);   d_h_{t-1} = d_h z
// The sums are p_g, z, r, m_g, so that those of W, and those of U, are adjacent.

struct Gru {
  static constexpr int GATES = 3, SUMS = 4, BLOCK = 1, STATES = 1, BIASES = 2, SAVED = 4;
  static constexpr bool READS_H = false, READS_H_PREV = true;
  static constexpr int W_ORDER[] = {2, 0, 1}, U_ORDER[] = {0, 1, 2};

  INLINE void step(Kind, const Vec* sums, Vec* states, Vec* saved) {
    Vec z = sigmoid(sums[1]), r = sigmoid(sums[2]), m_g = sums[3];
    Vec g = tanh(sums[0] + r * m_g);
    states[0] = z * states[0] + (1.f - z) * g;
    saved[0] = z, saved[1] = r, saved[2] = g, saved[3] = m_g;
  }

  INLINE void slopes(Kind, const Vec* saved, Vec, Vec h_prev, Vec* d_states, Vec* d_z) {
    Vec z = saved[0], r = saved[1], g = saved[2], m_g = saved[3], d_h = d_states[0];
    Vec d_g = d_h * (1.f - z) * (1.f - g * g);
    d_z[0] = d_g;
    d_z[1] = d_h * (h_prev - g) * (z - z * z);
    d_z[2] = d_g * m_g * (r - r * r);
    d_z[3] = d_g * r;
    d_states[0] = d_h * z;
  }
};
