// The simple RNN, as in kernels/simple_rnn.py:
//     h_t = activation(z),   z = x_t W + h_{t-1} U + b
// and backward, d_z = d_h activation'(z), which follows from h_t. A tile holds the one gate
// of 4 vectors of units.

struct SimpleRnn {
  static constexpr int GATES = 1, SUMS = 1, BLOCK = 4, STATES = 1, BIASES = 1, SAVED = 0;
  static constexpr bool READS_H = true, READS_H_PREV = false;
  static constexpr int W_ORDER[] = {0}, U_ORDER[] = {0};

  INLINE void step(Kind kind, const Vec* z, Vec* states, Vec*) {
    states[0] = kind == SIMPLE_RNN_TANH   ? tanh(*z)
                : kind == SIMPLE_RNN_RELU ? at_least(*z, Vec{})
                                          : *z;
  }

  INLINE void slopes(Kind kind, const Vec*, Vec h, Vec, Vec* d_states, Vec* d_z) {
    Vec zero = {}, one = all(1.f);
    *d_z = *d_states * (kind == SIMPLE_RNN_TANH   ? one - h * h
                        : kind == SIMPLE_RNN_RELU ? (h > 0 ? one : zero)
                                                  : one);
    *d_states = zero;
  }
};
