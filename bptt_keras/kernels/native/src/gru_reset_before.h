// The GRU that applies the reset gate before the product, Keras' `reset_after=False`:
//     p = x_t W + b,   split into z, r, g;   m_z, m_r = h_{t-1} (U_z, U_r)
//     z = sigmoid(p_z + m_z);   r = sigmoid(p_r + m_r);   g = tanh(p_g + (r h_{t-1}) U_g)
//     h_t = z h_{t-1} + (1 - z) g
// and backward:
//     d_g = d_h (1 - z) (1 - g^2);   d_z = d_h (h_{t-1} - g) z (1 - z)
//     q = d_g U_g^T;   d_r = q h_{t-1} r (1 - r)
//     d_h_{t-1} = d_h z + q r + [d_z d_r] (U_z, U_r)^T
// A step has two products in a row, and members meet between them. The sums are p_g, z, r.

struct GruResetBefore {
  static constexpr int GATES = 3, SUMS = 3, BLOCK = 1, STATES = 1, BIASES = 1, SAVED = 3;
  static constexpr bool READS_H = false, READS_H_PREV = true;
  static constexpr int W_ORDER[] = {2, 0, 1}, U_ORDER[] = {0, 1}, OF_G[] = {2};
};

template <class R, class T, class P>
struct WindowResetBefore : Window<R, T, P> {
  typedef Window<R, T, P> Base;
  typedef typename Base::Number Number;
  typedef typename Base::Chunk Chunk;
  using Base::at, Base::before, Base::c, Base::columns, Base::features, Base::first_unit,
      Base::fresh, Base::gate_depth, Base::h_before, Base::kept, Base::last_unit, Base::m,
      Base::padded, Base::rows, Base::steps, Base::tile, Base::transposed, Base::units,
      Base::x_depth, Base::Z_ROW;

  WindowResetBefore(const Call& call, const Member& member)
      : Base(call, member), r_row(up(P::depth(units), 32) + 32) {}

  const int64_t r_row;  // length of a row of r h_{t-1}

  // Vectors of U_g's columns are packed in fours, as only one belongs to a unit's tile.
  static constexpr int64_t FOUR = 4 * VL;
  int vectors_of_g(int64_t unit) const { return (int)least(4, up(last_unit - unit, VL) / VL); }

  NOT_INLINE size_t forward(char* workspace) const {
    Cutter cut{workspace};
    int64_t blocks = up(units, VL) / VL;
    int64_t of_x = P::panel(features, 3), of_h = P::panel(units, 2), of_g = P::panel(units, 1);
    Number* panels = cut.take<Number>(blocks * (of_x + of_h));
    Number* panels_of_g = cut.take<Number>(blocks * of_g);
    float* biases = cut.take<float>(blocks * Z_ROW);
    Number* a = cut.take<Number>(up(rows, 16) * this->a_row);
    Number* next = cut.take<Number>(up(rows, 16) * this->a_row);
    Number* reset_h = cut.take<Number>(up(rows, 16) * r_row);
    float* gates = cut.take<float>(rows * 3 * padded);
    if (!workspace) return cut.size;

    for (int64_t unit = first_unit; unit < last_unit; unit += VL) {
      Number* panel = panels + unit / VL * (of_x + of_h);
      this->pack_weights(c.kernel, features, R::W_ORDER, 3, unit, panel);
      this->pack_weights(c.recurrent_kernel, units, R::U_ORDER, 2, unit, panel + of_x);
      this->pack_bias(unit, biases + unit / VL * Z_ROW);
    }
    for (int64_t unit = first_unit; unit < last_unit; unit += FOUR)
      P::pack(units, vectors_of_g(unit), panels_of_g + unit / VL * of_g, [&](int64_t k, int v) {
        return load((const T*)c.recurrent_kernel + (k * 3 + 2) * units + unit + v * VL,
                    units - unit - v * VL);
      });
    this->clear_share(reset_h, up(rows, 16) * r_row);
    this->begin_forward(a, next, nullptr);
    for (int64_t t = 0; t < steps; t++) {
      for (int64_t unit = first_unit; unit < last_unit; unit += VL)
        for (int64_t r = 0; r < rows; r += tile(r))
          first_tile(unit, r, tile(r), panels + unit / VL * (of_x + of_h), of_x,
                     biases + unit / VL * Z_ROW, a, reset_h, gates);
      m.meet();
      for (int64_t unit = first_unit; unit < last_unit; unit += FOUR)
        for (int64_t r = 0; r < rows; r += tile(r))
          second_tile(t, unit, r, tile(r), panels_of_g + unit / VL * of_g, a, reset_h, gates, next);
      this->end_step(t, a, next);
    }
    P::end();
    return cut.size;
  }

  // p_g, z, r and r h_{t-1}.
  NOT_INLINE void first_tile(int64_t unit, int64_t r0, int count, const Number* panel, int64_t of_x,
                             const float* bias, const Number* a, Number* reset_h,
                             float* gates) const {
    alignas(64) float z[up(P::GROUP, 16) * Z_ROW];
    for (int r = 0; r < count; r++)
      for (int v = 0; v < 4; v++) store(z + r * Z_ROW + v * VL, load(bias + v * VL));
    const Number* rows_of_a = a + r0 * this->a_row;
    P::product(count, 3, rows_of_a, this->a_row, features, panel, z, Z_ROW);
    P::product(count, 2, rows_of_a + x_depth, this->a_row, units, panel + of_x, z + VL, Z_ROW);
    for (int r = 0; r < count; r++) {
      const float* sums = z + r * Z_ROW;
      float* gate = gates + (r0 + r) * 3 * padded + unit;
      Vec reset = sigmoid(load(sums + 2 * VL)),
          h = load(rows_of_a + r * this->a_row + x_depth + unit);
      store(gate, load(sums));
      store(gate + padded, sigmoid(load(sums + VL)));
      store(gate + 2 * padded, reset);
      store(reset_h + (r0 + r) * r_row + unit, reset * h, units - unit);
    }
  }

  // g and h.
  NOT_INLINE void second_tile(int64_t t, int64_t unit, int64_t r0, int count, const Number* panel,
                              const Number* a, const Number* reset_h, const float* gates,
                              Number* next) const {
    alignas(64) float sums[up(P::GROUP, 16) * Z_ROW];
    int nv = vectors_of_g(unit);
    auto gate_of = [&](int r, int v) { return gates + (r0 + r) * 3 * padded + unit + v * VL; };
    for (int r = 0; r < count; r++)
      for (int v = 0; v < nv; v++) store(sums + r * Z_ROW + v * VL, load(gate_of(r, v)));
    P::product(count, nv, reset_h + r0 * r_row, r_row, units, panel, sums, Z_ROW);
    for (int r = 0; r < count; r++)
      for (int v = 0; v < nv; v++) {
        int64_t column = unit + v * VL, row = r0 + r;
        Vec z = load(gate_of(r, v) + padded), reset = load(gate_of(r, v) + 2 * padded);
        Vec g = tanh(load(sums + r * Z_ROW + v * VL)),
            h = load(a + row * this->a_row + x_depth + column);
        if (kept(row, t)) {
          h = z * h + (1.f - z) * g;
          if (T* saved = c.saved ? this->saved(row, t, column) : nullptr) {
            store(saved, z);
            store(saved + VL, reset);
            store(saved + 2 * VL, g);
          }
        }
        this->put_states(t, row, column, &h, next);
      }
  }

  NOT_INLINE size_t backward(char* workspace) const {
    Cutter cut{workspace};
    // Each member has its own panels, which begin at its first column.
    Number* panels = this->template take_own<Number>(cut, [](const Base& w) {
      int64_t own_units = w.last_unit - w.first_unit;
      return w.transposed(own_units, 1) + w.transposed(own_units, 2) +
             w.transposed(w.last_input() - w.first_input(), 3);
    });
    Chunk of = this->take_chunk(cut, units);
    T* reset_h = cut.take<T>(of.rows * units);  // r h_{t-1} of the chunk
    if (!workspace) return cut.size;

    int64_t depth = gate_depth();
    Number* panels_of_h = panels + transposed(last_unit - first_unit, 1);
    Number* panels_of_x = panels_of_h + transposed(last_unit - first_unit, 2);
    this->pack_transposed(c.recurrent_kernel, R::OF_G, 1, first_unit, last_unit, panels);
    this->pack_transposed(c.recurrent_kernel, R::U_ORDER, 2, first_unit, last_unit, panels_of_h);
    this->pack_transposed(c.kernel, R::W_ORDER, 3, this->first_input(), this->last_input(),
                          panels_of_x);
    this->begin_backward(of);
    for (int64_t t = steps - 1; t >= 0; t--) {
      Number* d_z = of.d_z + of.filled * of.d_row;
      for (int64_t r = 0; r < rows; r++)
        for (int64_t unit = first_unit; unit < last_unit; unit += VL)
          first_slopes(t, r, unit, of, d_z + r * of.d_row,
                       reset_h + (of.filled + r) * units + unit);
      m.meet();
      this->through(d_z, of.d_row, panels, 1, first_unit, last_unit,
                    [&](int64_t r, int64_t unit, Vec q) {
                      Vec d_r = {}, through_h = {};
                      if (kept(r, t)) {
                        Vec reset = load(this->saved(r, t, unit) + VL), h = before(r, t, unit);
                        d_r = q * h * (reset - reset * reset);
                        through_h = q * reset;
                      }
                      store(d_z + r * of.d_row + 2 * depth + unit, d_r, units - unit);
                      float* d_h = of.d_states[0] + r * padded + unit;
                      store(d_h, load(d_h) + through_h);
                    });
      m.meet();
      this->through_state(t, of, d_z + depth, panels_of_h, 2);
      this->through_inputs(t, of, d_z, panels_of_x);
      if (!this->filled(t, of)) continue;
      int64_t latest = t + of.filled / rows - 1;
      int64_t ones = this->pack_inputs(t, of), group = ones + 1;
      this->pack_left(t, of, group, units, [&](int64_t r, int64_t s) { return h_before(r, s); });
      int64_t of_g = group;
      this->pack_left(t, of, group, units, [&](int64_t r, int64_t s) -> const T* {
        return kept(r, s) ? reset_h + ((latest - s) * rows + r) * units : nullptr;
      });
      m.meet();
      for (int64_t unit = first_unit; unit < last_unit; unit += VL) {
        this->pack_right(of, unit);
        Columns of_w = columns(R::W_ORDER, 3, unit);
        this->add_weights(of, 0, 0, 0, of_w);
        this->add_weights(of, 2, ones, 0, of_w);
        this->add_weights(of, 1, ones + 1, 1, columns(R::U_ORDER, 2, unit));
        this->add_weights(of, 1, of_g, 0, columns(R::OF_G, 1, unit));
      }
      this->empty(of);
    }
    this->end_backward(of);
    return cut.size;
  }

  // d_g, d_z and r h_{t-1}.
  NOT_INLINE void first_slopes(int64_t t, int64_t r, int64_t unit, const Chunk& of, Number* d_z,
                               T* reset_h) const {
    int64_t n = units - unit, depth = gate_depth();
    float* d_h = of.d_states[0] + r * padded + unit;
    Vec d = load(d_h) + load(at((const T*)c.d_h_seq, r, t, units) + unit, n), d_g = {}, d_of_z = {};
    if (kept(r, t)) {
      const T* saved = this->saved(r, t, unit);
      Vec z = load(saved), reset = load(saved + VL), g = load(saved + 2 * VL),
          h = before(r, t, unit);
      d_g = d * (1.f - z) * (1.f - g * g);
      d_of_z = d * (h - g) * (z - z * z);
      d = d * z;
      store(reset_h, reset * h, n);
    }
    store(d_z + unit, d_g, n);
    store(d_z + depth + unit, d_of_z, n);
    store(d_h, d);
  }
};
