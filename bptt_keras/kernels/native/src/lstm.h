// The LSTM, as in kernels/lstm.py:
//     z = x_t W + h_{t-1} U + b,            split into z_i, z_f, z_g, z_o
//     i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);   g = tanh(z_g)
//     c_t = f c_{t-1} + i g;   h_t = o tanh(c_t)
// and backward, with d_c of the next step:
//     d_c = d_c + d_h o (1 - tanh(c_t)^2)
//     d_z_i = d_c g i (1 - i);   d_z_f = d_c c_{t-1} f (1 - f)
//     d_z_g = d_c i (1 - g^2);   d_z_o = d_h tanh(c_t) o (1 - o);   d_c_{t-1} = d_c f

struct Lstm {
  static constexpr int GATES = 4, SUMS = 4, BLOCK = 1, STATES = 2, BIASES = 1, SAVED = 5;
  static constexpr bool READS_H = false, READS_H_PREV = false;
  static constexpr int W_ORDER[] = {0, 1, 2, 3}, U_ORDER[] = {0, 1, 2, 3};

  INLINE void step(Kind, const Vec* z, Vec* states, Vec* saved) {
    Vec i = sigmoid(z[0]), f = sigmoid(z[1]), g = tanh(z[2]), o = sigmoid(z[3]);
    Vec c_prev = states[1], c = f * c_prev + i * g;
    states[0] = o * tanh(c);
    states[1] = c;
    saved[0] = i, saved[1] = f, saved[2] = g, saved[3] = o, saved[4] = c_prev;
  }

  INLINE void slopes(Kind, const Vec* saved, Vec, Vec, Vec* d_states, Vec* d_z) {
    Vec i = saved[0], f = saved[1], g = saved[2], o = saved[3], c_prev = saved[4];
    Vec tanh_c = tanh(f * c_prev + i * g);
    Vec d_h = d_states[0], d_c = d_states[1] + d_h * o * (1.f - tanh_c * tanh_c);
    d_z[0] = d_c * g * (i - i * i);
    d_z[1] = d_c * c_prev * (f - f * f);
    d_z[2] = d_c * i * (1.f - g * g);
    d_z[3] = d_h * tanh_c * (o - o * o);
    d_states[0] = Vec{};
    d_states[1] = d_c * f;
  }
};
