// Runs a recurrence over a window, forward and backward, whatever its equations. Included
// in the namespace of an instruction set.
//
// A recurrence R (lstm.h, gru.h, simple_rnn.h) has for each unit SUMS sums of products,
// z: inputs and weights W give the first R::GATES of them, the state and U the last. Its
// functions work on VL units of one row:
//     step(kind, z, states, saved)                  new states and what is to be saved
//     slopes(kind, saved, h, h_prev, d_states, d_z) the gradients of z; d_states becomes
//                                                   those before the step, but for U's
//
// T is the type of the arrays. P has the products (`Float`, `Dot` or `Amx`): a panel of
// weights for BLOCK vectors of units is packed once a window and read at every step.
// Members split the units. A step of all rows is read by all members, so they meet after
// each; each has the sums, gradients and weights of its own units to itself.
//
//   forward    z = b + [x_t | h_{t-1}] [W; U]            for the member's units
//   backward   d_z by `slopes`                           for the member's units; meet
//              [d_x_t | d_h_{t-1}] = d_z [W; U]^T        for its share of the inputs, its units
//              d_W, d_U, d_b += [x_t | h_{t-1} | 1]^T d_z in chunks of steps, for its units
//
// Masks: a row without input keeps its states, and its d_z are zeros. Resets: the state
// that is stored for the next step is zeros.

constexpr int64_t CHUNK = 512;  // rows of all steps, about, whose d_z are kept for d_W

// Part i of n of `count`, in multiples of `unit`.
INLINE int64_t share(int64_t count, int64_t unit, int64_t i, int64_t n) {
  return least(up(count, unit) / unit * i / n * unit, count);
}

// Memory, cut into pieces. Without memory it only counts.
struct Cutter {
  char* at;
  size_t size = 0;
  template <class N>
  N* take(int64_t count) {
    N* piece = at ? (N*)(at + size) : nullptr;
    size += up(count * sizeof(N), 64);
    return piece;
  }
};

template <class T>
INLINE void clear(T* p, int64_t n) {
  __builtin_memset(p, 0, n * sizeof(T));
}

template <class R, class T, class P>
struct Window {
  typedef typename P::Number Number;
  static constexpr int64_t GATES = R::GATES, SUMS = R::SUMS, BLOCK = R::BLOCK;
  static constexpr int64_t WIDTH = BLOCK * VL;  // units of a block
  static constexpr int64_t FIRST_OF_U = SUMS - GATES;
  static constexpr int64_t Z_ROW = 4 * VL;
  static_assert(BLOCK == 1 || SUMS == 1, "a tile has at most 4 vectors");

  const Call& c;
  const int64_t rows, steps, features, units;
  const int64_t padded;                 // units, in whole vectors
  const int64_t x_depth, h_depth;       // lengths in a row of `a`, as P needs them
  const int64_t a_row;                  // [x | h], and a cache line against conflicts
  const int64_t saved_row;              // numbers of a row and step
  const int64_t first_unit, last_unit;  // of this member
  const Member m;

  Window(const Call& call, const Member& member)
      : c(call),
        rows(call.last - call.first),
        steps(call.steps),
        features(call.features),
        units(call.units),
        padded(up(units, VL)),
        x_depth(P::depth(features)),
        h_depth(P::depth(units)),
        a_row(up(x_depth + up(h_depth, VL), 32) + 32),
        saved_row(saved_size(call.kind, call.units)),
        first_unit(share(units, WIDTH, member.index, member.count)),
        last_unit(share(units, WIDTH, member.index + 1, member.count)),
        m(member) {}

  // --- Where things are --------------------------------------------------------------

  bool kept(int64_t r, int64_t t) const { return !c.mask || c.mask[(c.first + r) * steps + t]; }
  bool fresh(int64_t r, int64_t t) const {
    return c.reset && t < steps && c.reset[(c.first + r) * steps + t];
  }
  template <class Array>
  Array at(Array array, int64_t r, int64_t t, int64_t width) const {
    return array + ((c.first + r) * steps + t) * width;
  }
  template <class Array>
  Array at(Array array, int64_t r) const {
    return array + (c.first + r) * units;
  }
  T* saved(int64_t r, int64_t t, int64_t unit) const {
    return (T*)c.saved + (t * c.rows + c.first + r) * saved_row + unit * R::SAVED;
  }
  // h before a step, null for zeros.
  const T* h_before(int64_t r, int64_t t) const {
    if (fresh(r, t)) return nullptr;
    return t ? at((const T*)c.h_seq, r, t - 1, units) : at((const T*)c.states[0], r);
  }
  Vec before(int64_t r, int64_t t, int64_t unit) const {
    const T* h = h_before(r, t);
    return h ? load(h + unit, units - unit) : Vec{};
  }
  static int vectors(int64_t unit, int64_t end) {  // of the block that begins there
    return (int)least(BLOCK, up(end - unit, VL) / VL);
  }
  // The vector v of a block's part of a row of W or U.
  int64_t column(const int* order, int64_t unit, int v) const {
    return BLOCK == 1 ? order[v] * units + unit : unit + v * VL;
  }
  int64_t lanes(int64_t unit, int v) const {
    return least(VL, units - unit - (BLOCK == 1 ? 0 : v * VL));
  }
  int tile_vectors(int64_t unit) const { return BLOCK == 1 ? (int)GATES : vectors(unit, units); }
  // Rows of the tile that begins at row r.
  int tile(int64_t r) const {
    int64_t left = rows - r, tiles = (left + P::GROUP - 1) / P::GROUP;
    return (int)(P::GROUP > 16 ? least(left, P::GROUP) : (left + tiles - 1) / tiles);
  }

  // --- Shares of the members ---------------------------------------------------------

  // Clears the member's share of a piece of memory.
  template <class N>
  void clear_share(N* piece, int64_t count) const {
    int64_t begin = count * m.index / m.count;
    clear(piece + begin, count * (m.index + 1) / m.count - begin);
  }
  // Takes a piece for each member; the one of this member. `size(w)` is that of w's member.
  template <class N, class Size>
  N* take_own(Cutter& cut, const Size& size) const {
    N* own = nullptr;
    for (int i = 0; i < m.count; i++) {
      N* piece = cut.take<N>(size(Window(c, Member{i, m.count, nullptr})));
      if (i == m.index) own = piece;
    }
    return own;
  }

  // --- Forward -----------------------------------------------------------------------

  int64_t panel_of_x() const { return P::panel(features, BLOCK * GATES); }
  int64_t panel_of_h() const { return P::panel(units, BLOCK * GATES); }

  // Packs `height` rows of W or U for the block at `unit`.
  NOT_INLINE void pack_weights(const void* matrix, int64_t height, const int* order, int nv,
                               int64_t unit, Number* to) const {
    P::pack(height, nv, to, [&](int64_t k, int v) {
      return load((const T*)matrix + k * GATES * units + column(order, unit, v), lanes(unit, v));
    });
  }
  NOT_INLINE void pack_bias(int64_t unit, float* bias) const {
    clear(bias, Z_ROW);
    auto add = [&](const void* b, const int* order, int64_t skip) {
      for (int v = 0; v < tile_vectors(unit); v++) {
        float* to = bias + (skip + v) * VL;
        store(to, load(to) + load((const T*)b + column(order, unit, v), lanes(unit, v)));
      }
    };
    add(c.biases[0], R::W_ORDER, 0);
    if (R::BIASES == 2) add(c.biases[1], R::U_ORDER, FIRST_OF_U);
  }

  // The member's share of the inputs of a step.
  NOT_INLINE void take_inputs(int64_t t, Number* a) const {
    int64_t r = rows * m.index / m.count, end = rows * (m.index + 1) / m.count;
    for (; r < end; r++) {
      Number* to = a + r * a_row;
      const T* x = at((const T*)c.x, r, t, features);
      if (!kept(r, t))
        clear(to, features);
      else if (sizeof(T) == sizeof(Number))
        __builtin_memcpy(to, x, features * sizeof(T));
      else
        for (int64_t k = 0; k < features; k += VL)
          store(to + k, load(x + k, features - k), features - k);
    }
  }

  // What the first step reads. Members meet at the end.
  NOT_INLINE void begin_forward(Number* a, Number* next, float* others) const {
    P::begin();
    clear_share(a, up(rows, 16) * a_row);
    clear_share(next, up(rows, 16) * a_row);
    m.meet();
    take_inputs(0, a);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t unit = first_unit; unit < last_unit; unit += VL) {
        int64_t n = units - unit;
        bool zeros = fresh(r, 0);
        if (!zeros)
          store(a + r * a_row + x_depth + unit, load(at((const T*)c.states[0], r) + unit, n), n);
        if (R::STATES > 1)
          store(others + r * padded + unit,
                zeros ? Vec{} : load(at((const T*)c.states[R::STATES - 1], r) + unit, n));
      }
    m.meet();
  }

  // The inputs of the next step. Members meet, and the two steps change places.
  void end_step(int64_t t, Number*& a, Number*& next) const {
    if (t + 1 < steps) take_inputs(t + 1, next);
    m.meet();
    Number* swapped = a;
    a = next;
    next = swapped;
  }

  NOT_INLINE size_t forward(char* workspace) const {
    Cutter cut{workspace};
    int64_t blocks = up(units, WIDTH) / WIDTH, panel_row = panel_of_x() + panel_of_h();
    Number* panels = cut.take<Number>(blocks * panel_row);
    float* biases = cut.take<float>(blocks * Z_ROW);
    Number* a = cut.take<Number>(up(rows, 16) * a_row);
    Number* next = cut.take<Number>(up(rows, 16) * a_row);
    float* others = cut.take<float>(rows * padded * (R::STATES - 1));  // c
    if (!workspace) return cut.size;

    for (int64_t unit = first_unit; unit < last_unit; unit += WIDTH) {
      Number* panel = panels + unit / WIDTH * panel_row;
      pack_weights(c.kernel, features, R::W_ORDER, tile_vectors(unit), unit, panel);
      pack_weights(c.recurrent_kernel, units, R::U_ORDER, tile_vectors(unit), unit,
                   panel + panel_of_x());
      pack_bias(unit, biases + unit / WIDTH * Z_ROW);
    }
    begin_forward(a, next, others);
    for (int64_t t = 0; t < steps; t++) {
      for (int64_t unit = first_unit; unit < last_unit; unit += WIDTH)
        for (int64_t r = 0; r < rows; r += tile(r))
          forward_tile(t, unit, r, tile(r), panels + unit / WIDTH * panel_row,
                       biases + unit / WIDTH * Z_ROW, a, next, others);
      end_step(t, a, next);
    }
    P::end();
    return cut.size;
  }

  NOT_INLINE void forward_tile(int64_t t, int64_t unit, int64_t r0, int count, const Number* panel,
                               const float* bias, const Number* a, Number* next,
                               float* others) const {
    alignas(64) float z[up(P::GROUP, 16) * Z_ROW];
    int nv = tile_vectors(unit);
    for (int r = 0; r < count; r++)
      for (int v = 0; v < 4; v++) store(z + r * Z_ROW + v * VL, load(bias + v * VL));
    const Number* rows_of_a = a + r0 * a_row;
    P::product(count, nv, rows_of_a, a_row, features, panel, z, Z_ROW);
    P::product(count, nv, rows_of_a + x_depth, a_row, units, panel + panel_of_x(),
               z + FIRST_OF_U * VL, Z_ROW);
    for (int r = 0; r < count; r++)
      for (int v = 0; v < vectors(unit, units); v++)
        forward_step(t, r0 + r, unit + v * VL, z + r * Z_ROW + v * VL, rows_of_a + r * a_row, next,
                     others);
  }

  // A step of VL units of one row.
  void forward_step(int64_t t, int64_t r, int64_t unit, const float* z, const Number* a,
                    Number* next, float* others) const {
    float* other = others + r * padded + unit;
    Vec sums[SUMS], states[2], keep[R::SAVED + 1];
    for (int s = 0; s < SUMS; s++) sums[s] = load(z + s * VL);
    states[0] = load(a + x_depth + unit);
    if (R::STATES > 1) states[1] = load(other);
    if (kept(r, t)) {
      R::step(c.kind, sums, states, keep);
      if (c.saved)
        for (int s = 0; s < R::SAVED; s++) store(saved(r, t, unit) + s * VL, keep[s]);
    }
    if (R::STATES > 1) store(other, fresh(r, t + 1) ? Vec{} : states[1]);
    put_states(t, r, unit, states, next);
  }

  void put_states(int64_t t, int64_t r, int64_t unit, const Vec* states, Number* next) const {
    int64_t n = units - unit;
    T* h = at((T*)c.h_seq, r, t, units) + unit;
    store(h, states[0], n);
    if (t + 1 < steps)  // h as it is in the arrays, so that cutting a sequence changes nothing
      store(next + r * a_row + x_depth + unit, fresh(r, t + 1) ? Vec{} : load(h, n), n);
    else
      for (int s = 0; s < R::STATES; s++) store(at((T*)c.last_states[s], r) + unit, states[s], n);
  }

  // --- Backward ----------------------------------------------------------------------

  // Vectors of columns of [W; U]^T: those of the member's units, and of its share of inputs.
  int64_t first_input() const { return share(features, VL, m.index, m.count); }
  int64_t last_input() const { return share(features, VL, m.index + 1, m.count); }
  int64_t gate_depth() const { return P::depth(padded); }  // of a gate, in d_z
  int64_t transposed(int64_t columns, int gates) const {
    return P::panel(gates * gate_depth(), up(columns, VL) / VL);
  }

  // Rows first .. last of a matrix of weights, as columns of panels of up to 4 vectors.
  NOT_INLINE void pack_transposed(const void* matrix, const int* order, int gates, int64_t first,
                                  int64_t last, Number* to) const {
    int64_t depth = gate_depth();
    for (int64_t row = first; row < last; row += 4 * VL) {
      int nv = (int)least(4, up(last - row, VL) / VL);
      float square[4][VL][VL];
      P::pack(gates * depth, nv, to, [&](int64_t k, int v) {
        int64_t unit = k % depth;
        if (k % VL == 0)
          for (int i = 0; i < VL; i++) {
            int64_t at_row = row + v * VL + i;
            Vec numbers = {};
            if (at_row < last && unit < units)
              numbers = load((const T*)matrix + (at_row * GATES + order[k / depth]) * units + unit,
                             units - unit);
            float along[VL];
            store(along, numbers);
            for (int j = 0; j < VL; j++) square[v][j][i] = along[j];
          }
        return load(square[v][k % VL]);
      });
      to += P::panel(gates * depth, nv);
    }
  }

  // z (count, columns) = d_z panels; `use(r, column, vector)` gets the result.
  template <class Use>
  void through(const Number* d_z, int64_t d_row, const Number* panel, int gates, int64_t first,
               int64_t last, const Use& use) const {
    alignas(64) float z[up(P::GROUP, 16) * Z_ROW];
    int64_t depth = gates * gate_depth();
    for (int64_t column = first; column < last; column += 4 * VL) {
      int nv = (int)least(4, up(last - column, VL) / VL);
      for (int64_t r0 = 0; r0 < rows; r0 += tile(r0)) {
        int count = tile(r0);
        clear(z, up(count, P::GROUP > 16 ? 16 : 1) * Z_ROW);
        P::product(count, nv, d_z + r0 * d_row, d_row, depth, panel, z, Z_ROW);
        for (int r = 0; r < count; r++)
          for (int v = 0; v < nv; v++) use(r0 + r, column + v * VL, load(z + r * Z_ROW + v * VL));
      }
      panel += P::panel(depth, nv);
    }
  }

  // What both kinds of backward pass need besides panels.
  struct Chunk {
    int64_t rows, d_row;  // rows of all steps; the length of one in d_z
    float* d_states[2];
    Number *d_z, *left, *right;
    int width = 0;        // vectors of `right`
    const T** left_rows;  // of a matrix on the left, for each row of the chunk
    float* d_weights[4];  // of W, U and the biases: the results, or float32 sums for bfloat16
    bool first = true;
    int64_t filled = 0;  // rows so far
  };

  int64_t height(int weights) const { return weights == 0 ? features : weights == 1 ? units : 1; }

  Chunk take_chunk(Cutter& cut, int64_t extra_columns = 0) const {
    Chunk of;
    of.rows = (CHUNK / rows < 1 ? 1 : least(CHUNK / rows, steps)) * rows;
    of.d_row = SUMS * gate_depth() + 32;
    for (int s = 0; s < R::STATES; s++) of.d_states[s] = cut.take<float>(rows * padded);
    of.d_z = cut.take<Number>((of.rows + 16) * of.d_row);
    int64_t groups =
        up(features, P::GROUP) + up(units, P::GROUP) + up(extra_columns, P::GROUP) + P::GROUP;
    of.left = cut.take<Number>(P::columns(of.rows) * (groups / P::GROUP));
    of.right =
        take_own<Number>(cut, [&](const Window&) { return P::panel(of.rows, BLOCK * SUMS); });
    of.left_rows = take_own<const T*>(cut, [&](const Window&) { return of.rows; });
    for (int i = 0; i < 2 + R::BIASES; i++)
      of.d_weights[i] = c.d_sums[i]      ? c.d_sums[i]
                        : sizeof(T) == 4 ? (float*)c.d_weights[i]
                                         : cut.take<float>(height(i) * GATES * units);
    return of;
  }

  // Members meet at the end.
  NOT_INLINE void begin_backward(const Chunk& of) const {
    P::begin();
    for (int64_t r = 0; r < rows; r++)
      for (int64_t unit = first_unit; unit < last_unit; unit += VL)
        for (int s = 0; s < R::STATES; s++)
          store(of.d_states[s] + r * padded + unit,
                load(at((const T*)c.d_last_states[s], r) + unit, units - unit));
    // What lies beyond the units of a gate is never written and must be zeros.
    clear_share(of.d_z, (of.rows + 16) * of.d_row);
    m.meet();
  }

  NOT_INLINE void end_backward(const Chunk& of) const {
    for (int64_t r = 0; r < rows; r++)
      for (int64_t unit = first_unit; unit < last_unit; unit += VL)
        for (int s = 0; s < R::STATES; s++)
          store(at((T*)c.d_states[s], r) + unit, load(of.d_states[s] + r * padded + unit),
                units - unit);
    for (int i = 0; sizeof(T) == 2 && !c.d_sums[0] && i < 2 + R::BIASES; i++)
      for (int64_t row = 0; row < height(i) * GATES; row++)
        for (int64_t unit = first_unit; unit < last_unit; unit += VL) {
          int64_t n = least(VL, last_unit - unit);
          store((T*)c.d_weights[i] + row * units + unit,
                load(of.d_weights[i] + row * units + unit, n), n);
        }
    P::end();
  }

  // The gradients of the state before step t, through U.
  NOT_INLINE void through_state(int64_t t, const Chunk& of, const Number* d_z, const Number* panels,
                                int gates) const {
    through(d_z, of.d_row, panels, gates, first_unit, last_unit,
            [&](int64_t r, int64_t unit, Vec v) {
              bool zeros = fresh(r, t);
              for (int s = 0; s < R::STATES; s++) {
                float* p = of.d_states[s] + r * padded + unit;
                if (zeros)
                  store(p, Vec{});
                else if (s == 0)
                  store(p, load(p) + v);
              }
            });
  }
  // The gradients of the inputs of step t, through W.
  NOT_INLINE void through_inputs(int64_t t, const Chunk& of, const Number* d_z,
                                 const Number* panels) const {
    through(d_z, of.d_row, panels, GATES, first_input(), last_input(),
            [&](int64_t r, int64_t k, Vec v) {
              store(at((T*)c.d_x, r, t, features) + k, v, features - k);
            });
  }

  NOT_INLINE size_t backward(char* workspace) const {
    Cutter cut{workspace};
    // Each member has its own panels, which begin at its first column.
    Number* panels = take_own<Number>(cut, [](const Window& w) {
      return w.transposed(w.last_unit - w.first_unit, GATES) +
             w.transposed(w.last_input() - w.first_input(), GATES);
    });
    Chunk of = take_chunk(cut);
    if (!workspace) return cut.size;

    Number* panels_of_x = panels + transposed(last_unit - first_unit, GATES);
    pack_transposed(c.recurrent_kernel, R::U_ORDER, GATES, first_unit, last_unit, panels);
    pack_transposed(c.kernel, R::W_ORDER, GATES, first_input(), last_input(), panels_of_x);
    begin_backward(of);
    for (int64_t t = steps - 1; t >= 0; t--) {
      Number* d_z = of.d_z + of.filled * of.d_row;
      for (int64_t r = 0; r < rows; r++)
        for (int64_t unit = first_unit; unit < last_unit; unit += VL)
          backward_step(t, r, unit, of.d_states, d_z + r * of.d_row);
      m.meet();
      through_state(t, of, d_z + FIRST_OF_U * gate_depth(), panels, GATES);
      through_inputs(t, of, d_z, panels_of_x);
      if (!filled(t, of)) continue;
      int64_t ones = pack_inputs(t, of), group = ones + 1;
      pack_left(t, of, group, units, [&](int64_t r, int64_t s) { return h_before(r, s); });
      m.meet();
      for (int64_t unit = first_unit; unit < last_unit; unit += WIDTH) {
        pack_right(of, unit);
        Columns of_w = columns(R::W_ORDER, tile_vectors(unit), unit);
        Columns of_u = columns(R::U_ORDER, tile_vectors(unit), unit);
        add_weights(of, 0, 0, 0, of_w);
        add_weights(of, 2, ones, 0, of_w);
        add_weights(of, 1, ones + 1, FIRST_OF_U, of_u);
        if (R::BIASES == 2) add_weights(of, 3, ones, FIRST_OF_U, of_u);
      }
      empty(of);
    }
    end_backward(of);
    return cut.size;
  }

  // The gradients of the sums of VL units of one row.
  NOT_INLINE void backward_step(int64_t t, int64_t r, int64_t unit, float* const* d_states,
                                Number* d_z) const {
    int64_t n = units - unit, depth = gate_depth();
    Vec d[2], slopes[SUMS] = {}, kept_by[R::SAVED + 1];
    for (int s = 0; s < R::STATES; s++) d[s] = load(d_states[s] + r * padded + unit);
    d[0] += load(at((const T*)c.d_h_seq, r, t, units) + unit, n);
    if (kept(r, t)) {
      for (int s = 0; s < R::SAVED; s++) kept_by[s] = load(saved(r, t, unit) + s * VL);
      Vec h = {}, h_prev = {};
      if (R::READS_H) h = load(at((const T*)c.h_seq, r, t, units) + unit, n);
      if (R::READS_H_PREV) h_prev = before(r, t, unit);
      R::slopes(c.kind, kept_by, h, h_prev, d, slopes);
    }
    for (int s = 0; s < SUMS; s++) store(d_z + s * depth + unit, slopes[s], n);
    for (int s = 0; s < R::STATES; s++) store(d_states[s] + r * padded + unit, d[s]);
  }

  // Whether the chunk is full with the rows of step t.
  bool filled(int64_t t, Chunk& of) const {
    of.filled += rows;
    return of.filled == of.rows || t == 0;
  }
  void empty(Chunk& of) const {
    of.first = false;
    of.filled = 0;
  }

  // Columns of the chunk's rows, of steps t and later, as left sides from `group` on, in
  // groups; a member packs its share. `row(r, step)` points to a row, or is null for zeros.
  template <class Row>
  void pack_left(int64_t t, const Chunk& of, int64_t& group, int64_t width, const Row& row) const {
    int64_t k = 0, size = P::columns(of.filled);
    for (int64_t step = t + of.filled / rows - 1; step >= t; step--)
      for (int64_t r = 0; r < rows; r++) of.left_rows[k++] = row(r, step);
    for (int64_t column = 0; column < width; column += P::GROUP, group++)
      if (group % m.count == m.index)
        P::pack_columns(of.filled, column, least(P::GROUP, width - column), of.left_rows,
                        of.left + group * size);
  }
  // [x | 1]. Returns the group of the ones.
  NOT_INLINE int64_t pack_inputs(int64_t t, const Chunk& of) const {
    int64_t group = 0;
    pack_left(t, of, group, features, [&](int64_t r, int64_t s) -> const T* {
      return kept(r, s) ? at((const T*)c.x, r, s, features) : nullptr;
    });
    const T one[] = {(T)(sizeof(T) == 2 ? 0x3f80 : 1)};
    pack_left(t, of, group, 1, [&](int64_t, int64_t) { return one; });
    return group - 1;
  }
  // The chunk's d_z of a block.
  NOT_INLINE void pack_right(Chunk& of, int64_t unit) const {
    int64_t depth = gate_depth();
    of.width = BLOCK == 1 ? (int)SUMS : vectors(unit, units);
    P::pack(of.filled, of.width, of.right, [&](int64_t k, int v) {
      return load(of.d_z + k * of.d_row + (BLOCK == 1 ? v * depth + unit : unit + v * VL));
    });
  }
  Columns columns(const int* order, int count, int64_t unit) const {
    Columns at = {count, {}, {}};
    for (int v = 0; v < count; v++) {
      at.offset[v] = column(order, unit, v);
      at.lanes[v] = lanes(unit, v);
    }
    return at;
  }
  // Adds the chunk to some weights: left sides from `group` on, d_z from vector `skip` on.
  NOT_INLINE void add_weights(const Chunk& of, int weights, int64_t group, int skip,
                              const Columns& at) const {
    int64_t row = GATES * units, size = P::columns(of.filled);
    for (int64_t k = 0; k < height(weights); k += P::GROUP, group++)
      P::outer((int)least(P::GROUP, height(weights) - k), of.filled, of.left + group * size,
               of.right, skip, of.width, at, of.d_weights[weights] + k * row, row, of.first);
  }
};
