// Runs every kernel of every instruction set on arrays of exactly their size, for the
// sanitizers, and checks what it computes:
//   - the forward pass, against the equations in double precision,
//   - gradients, against differences of those,
//   - that each number of threads gives the same bits every time, and all of them the same
//     numbers.
// Ends with status 0 if all is right.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../library.h"

extern "C" const char* bptt_native_sets();
extern "C" int bptt_native_choose(const char*);

using namespace bptt;
typedef std::vector<double> Numbers;

namespace {

int failures = 0;
void check(bool right, const char* what, const char* set, Kind kind, Type type) {
  if (right) return;
  failures++;
  std::printf("%s: %s, kind %d, %s\n", what, set, kind, type == FLOAT32 ? "float32" : "bfloat16");
}

double rounded(double x, Type type) {
  float y = (float)x;
  if (type == BFLOAT16) {
    uint32_t bits;
    std::memcpy(&bits, &y, 4);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    std::memcpy(&y, &bits, 4);
  }
  return y;
}

// An array on the heap, so that reading or writing beyond it is found.
struct Heap {
  Type type = FLOAT32;
  size_t count = 0;
  std::unique_ptr<char[]> bytes;
  Heap() = default;
  Heap(Type t, size_t n) : type(t), count(n), bytes(new char[n * (t == FLOAT32 ? 4 : 2)]) {
    std::memset(bytes.get(), 0xff, size());  // NaN
  }
  Heap(Type t, const Numbers& from) : Heap(t, from.size()) {
    for (size_t i = 0; i < count; i++) {
      float x = (float)from[i];
      if (type == FLOAT32) {
        ((float*)bytes.get())[i] = x;
      } else {
        uint32_t bits;
        std::memcpy(&bits, &x, 4);
        ((uint16_t*)bytes.get())[i] = bits >> 16;
      }
    }
  }
  size_t size() const { return count * (type == FLOAT32 ? 4 : 2); }
  double operator[](size_t i) const {
    if (type == FLOAT32) return ((float*)bytes.get())[i];
    uint32_t bits = (uint32_t)((uint16_t*)bytes.get())[i] << 16;
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
  }
  bool same(const Heap& other) const {
    return std::memcmp(bytes.get(), other.bytes.get(), size()) == 0;
  }
};

struct Case {
  Kind kind;
  int64_t rows, steps, features, units;
  bool flags;
};

// The arguments: x, states, W, U, biases.
struct Given {
  Case of;
  std::vector<Numbers> arrays;
  std::vector<uint8_t> mask, reset;
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// h of all steps and the last states, by the equations.
std::vector<Numbers> reference(const Given& given) {
  const Case& of = given.of;
  const Traits& traits_of = traits[of.kind];
  int64_t H = of.units, G = traits_of.gates;
  const Numbers &x = given.arrays[0], &W = given.arrays[1 + traits_of.states],
                &U = given.arrays[2 + traits_of.states];
  const Numbers& b = given.arrays[3 + traits_of.states];
  std::vector<Numbers> out = {Numbers(of.rows * of.steps * H)};
  for (int s = 0; s < traits_of.states; s++) out.push_back(given.arrays[1 + s]);
  for (int64_t r = 0; r < of.rows; r++)
    for (int64_t t = 0; t < of.steps; t++) {
      double *h = &out[1][r * H], *c = traits_of.states > 1 ? &out[2][r * H] : nullptr;
      if (of.flags && given.reset[r * of.steps + t])
        for (int64_t k = 0; k < H; k++) h[k] = 0, c ? c[k] = 0 : 0;
      if (!of.flags || given.mask[r * of.steps + t]) {
        Numbers p(G * H), q(G * H), next(H);
        auto product = [&](int64_t n, const double* v, const Numbers& matrix, int64_t column) {
          double sum = 0;
          for (int64_t k = 0; k < n; k++) sum += v[k] * matrix[k * G * H + column];
          return sum;
        };
        for (int64_t j = 0; j < G * H; j++) {
          p[j] = b[j] + product(of.features, x.data() + (r * of.steps + t) * of.features, W, j);
          q[j] = product(H, h, U, j) + (of.kind == GRU ? given.arrays[4 + traits_of.states][j] : 0);
        }
        if (of.kind == GRU_RESET_BEFORE) {
          Numbers reset_h(H);
          for (int64_t k = 0; k < H; k++) reset_h[k] = sigmoid(p[H + k] + q[H + k]) * h[k];
          for (int64_t k = 0; k < H; k++) q[2 * H + k] = product(H, reset_h.data(), U, 2 * H + k);
        }
        for (int64_t k = 0; k < H; k++) {
          auto sum = [&](int gate) { return p[gate * H + k] + q[gate * H + k]; };
          if (of.kind == LSTM) {
            c[k] = sigmoid(sum(1)) * c[k] + sigmoid(sum(0)) * std::tanh(sum(2));
            next[k] = sigmoid(sum(3)) * std::tanh(c[k]);
          } else if (of.kind == GRU || of.kind == GRU_RESET_BEFORE) {
            double z = sigmoid(sum(0)), gate = of.kind == GRU ? sigmoid(sum(1)) : 1;
            next[k] = z * h[k] + (1 - z) * std::tanh(p[2 * H + k] + gate * q[2 * H + k]);
          } else {
            double z = sum(0);
            next[k] = of.kind == SIMPLE_RNN_TANH   ? std::tanh(z)
                      : of.kind == SIMPLE_RNN_RELU ? std::fmax(z, 0)
                                                   : z;
          }
        }
        std::copy(next.begin(), next.end(), h);
      }
      std::copy(h, h + H, &out[0][(r * of.steps + t) * H]);
    }
  return out;
}

struct Results {
  std::vector<Heap> outputs, gradients;
  Heap saved;
};

Array array(const Heap& heap, std::vector<std::vector<int64_t>>& shapes,
            std::vector<int64_t> shape) {
  shapes.push_back(std::move(shape));
  return {heap.type, false, (int)shapes.back().size(), shapes.back().data(), heap.bytes.get()};
}

// Both passes of a kernel, through the checks of its arguments.
Results run(const Given& given, Type type, const std::vector<Numbers>& upstream, int threads) {
  if (threads) set_own_threads(threads);
  const Case& of = given.of;
  const Traits& traits_of = traits[of.kind];
  int64_t width = traits_of.gates * of.units, B = of.rows, T = of.steps, I = of.features,
          H = of.units;
  std::vector<std::vector<int64_t>> shapes;
  shapes.reserve(64);
  std::vector<Heap> in;
  for (const Numbers& a : given.arrays) in.emplace_back(type, a);
  std::vector<Array> arguments = {array(in[0], shapes, {B, T, I})};
  size_t n = 1;
  for (int s = 0; s < traits_of.states; s++) arguments.push_back(array(in[n++], shapes, {B, H}));
  arguments.push_back(array(in[n++], shapes, {I, width}));
  arguments.push_back(array(in[n++], shapes, {H, width}));
  std::vector<Array> forward = arguments;
  for (int i = 0; i < traits_of.biases; i++) forward.push_back(array(in[n++], shapes, {width}));
  std::vector<uint8_t> mask = given.mask, reset = given.reset;
  for (auto* flags : {&mask, &reset}) {
    shapes.push_back(of.flags ? std::vector<int64_t>{B, T} : std::vector<int64_t>{0, 0});
    Array a = {type, true, 2, shapes.back().data(), flags->data()};
    forward.push_back(a);
    arguments.push_back(a);
  }
  Results results;
  Call call;
  auto attempt = [&](const char* wrong) {
    if (wrong) failures++, std::printf("refused: %s\n", wrong);
    return !wrong;
  };
  auto compute_with = [&](std::vector<Array>& given_arrays, std::vector<Array>& made,
                          bool backward) {
    return attempt(set_arguments(of.kind, backward, given_arrays.data(), (int)given_arrays.size(),
                                 &call)) &&
           attempt(set_results(made.data(), (int)made.size(), &call)) &&
           attempt(compute(call, own_pool()));
  };
  int64_t saves = saved_size(of.kind, H);
  results.saved = Heap(type, B * T * saves);
  results.outputs.emplace_back(type, B * T * H);
  for (int s = 0; s < traits_of.states; s++) results.outputs.emplace_back(type, B * H);
  std::vector<Array> made = {array(results.outputs[0], shapes, {B, T, H})};
  for (int s = 0; s < traits_of.states; s++)
    made.push_back(array(results.outputs[1 + s], shapes, {B, H}));
  made.push_back(array(results.saved, shapes, {B, T, saves}));
  if (!compute_with(forward, made, false)) return results;

  std::vector<Heap> d_out;
  for (const Numbers& a : upstream) d_out.emplace_back(type, a);
  arguments.push_back(array(results.outputs[0], shapes, {B, T, H}));
  arguments.push_back(array(results.saved, shapes, {B, T, saves}));
  arguments.push_back(array(d_out[0], shapes, {B, T, H}));
  for (int s = 0; s < traits_of.states; s++)
    arguments.push_back(array(d_out[1 + s], shapes, {B, H}));
  for (const Heap& a : in) results.gradients.emplace_back(type, a.count);
  std::vector<Array> gradients = {array(results.gradients[0], shapes, {B, T, I})};
  n = 1;
  for (int s = 0; s < traits_of.states; s++)
    gradients.push_back(array(results.gradients[n++], shapes, {B, H}));
  gradients.push_back(array(results.gradients[n++], shapes, {I, width}));
  gradients.push_back(array(results.gradients[n++], shapes, {H, width}));
  for (int i = 0; i < traits_of.biases; i++)
    gradients.push_back(array(results.gradients[n++], shapes, {width}));
  compute_with(arguments, gradients, true);
  return results;
}

// `alone`: no other caller runs, so the number of threads may change.
void test(const char* set, const Case& of, Type type, std::mt19937& random, bool alone = true) {
  const Traits& traits_of = traits[of.kind];
  int64_t width = traits_of.gates * of.units;
  std::normal_distribution<double> normal;
  auto numbers = [&](int64_t n, double scale) {
    Numbers a(n);
    for (double& x : a) x = rounded(scale * normal(random), type);
    return a;
  };
  Given given{of, {}, {}, {}};
  given.arrays.push_back(numbers(of.rows * of.steps * of.features, 1));
  for (int s = 0; s < traits_of.states; s++)
    given.arrays.push_back(numbers(of.rows * of.units, .5));
  given.arrays.push_back(numbers(of.features * width, .7 / std::sqrt(of.features + 1.)));
  given.arrays.push_back(numbers(of.units * width, .7 / std::sqrt((double)of.units)));
  for (int i = 0; i < traits_of.biases; i++) given.arrays.push_back(numbers(width, .3));
  for (int64_t i = 0; of.flags && i < of.rows * of.steps; i++) {
    given.mask.push_back(random() % 4 != 0);
    given.reset.push_back(random() % 8 == 0);
  }
  std::vector<Numbers> upstream = {numbers(of.rows * of.steps * of.units, 1)};
  for (int s = 0; s < traits_of.states; s++) upstream.push_back(numbers(of.rows * of.units, 1));

  Results got = run(given, type, upstream, alone ? 1 : 0);
  std::vector<Numbers> want = reference(given);
  double near = type == FLOAT32 ? 2e-5 : 6e-2;
  for (size_t i = 0; i < want.size(); i++)
    for (size_t k = 0; k < want[i].size(); k++)
      if (!(std::fabs(got.outputs[i][k] - want[i][k]) <= near * (1 + std::fabs(want[i][k]))))
        return check(false, "forward", set, of.kind, type);

  // The derivative along a random direction in all arguments at once.
  if (type == FLOAT32 && of.kind != SIMPLE_RNN_RELU) {
    auto loss = [&](const Given& at) {
      double sum = 0;
      std::vector<Numbers> out = reference(at);
      for (size_t i = 0; i < out.size(); i++)
        for (size_t k = 0; k < out[i].size(); k++) sum += out[i][k] * upstream[i][k];
      return sum;
    };
    for (size_t i = 0; i < given.arrays.size(); i++) {
      Given more = given, less = given;
      double slope = 0, size = 1e-30, step = 1e-5;
      for (size_t k = 0; k < given.arrays[i].size(); k++) {
        double direction = normal(random);
        more.arrays[i][k] += step * direction;
        less.arrays[i][k] -= step * direction;
        slope += got.gradients[i][k] * direction;
        size += std::fabs(got.gradients[i][k] * direction);
      }
      double difference = (loss(more) - loss(less)) / (2 * step);
      check(std::fabs(slope - difference) <= 1e-4 * size + 1e-6, "gradient", set, of.kind, type);
    }
  }
  for (int threads : alone ? std::vector<int>{2, 3, 5} : std::vector<int>{0}) {
    Results first = run(given, type, upstream, threads),
            again = run(given, type, upstream, threads);
    bool same = true;
    auto compare = [&](const std::vector<Heap>& one, const std::vector<Heap>& two,
                       const std::vector<Heap>& three) {
      for (size_t i = 0; i < one.size(); i++) {
        same = same && one[i].same(two[i]);
        double size = 1e-6;
        for (size_t k = 0; k < one[i].count; k++) size = std::fmax(size, std::fabs(three[i][k]));
        for (size_t k = 0; k < one[i].count; k++)
          same =
              same && std::fabs(one[i][k] - three[i][k]) <= (type == FLOAT32 ? 2e-5 : 5e-2) * size;
      }
    };
    compare(first.outputs, again.outputs, got.outputs);
    compare(first.gradients, again.gradients, got.gradients);
    check(same, "number of threads", set, of.kind, type);
  }
}

void refuses_wrong_arrays() {
  std::vector<float> numbers(1000);
  int64_t x[] = {2, 3, 4}, state[] = {2, 5}, other[] = {3, 5};
  Array arrays[] = {{FLOAT32, false, 3, x, numbers.data()},
                    {FLOAT32, false, 2, state, numbers.data()},
                    {FLOAT32, false, 2, other, numbers.data()},
                    {},
                    {},
                    {},
                    {},
                    {}};
  Call call;
  check(set_arguments(LSTM, false, arrays, 8, &call) != nullptr, "took wrong arrays", "", LSTM,
        FLOAT32);
  check(set_arguments(LSTM, false, arrays, 3, &call) != nullptr, "took too few arrays", "", LSTM,
        FLOAT32);
}

}  // namespace

int main() {
  std::string sets = bptt_native_sets();
  for (size_t begin = 0; begin < sets.size();) {
    size_t end = std::min(sets.find(' ', begin), sets.size());
    std::string set = sets.substr(begin, end - begin);
    begin = end + 1;
    if (bptt_native_choose(set.c_str()) != 0) return 1;
    std::mt19937 random(0);
    for (int kind = 0; kind < KINDS; kind++)
      for (Type type : {FLOAT32, BFLOAT16}) {
        const Case cases[] = {
            {(Kind)kind, 1, 1, 1, 1, false},     {(Kind)kind, 2, 5, 3, 7, true},
            {(Kind)kind, 7, 9, 17, 33, true},    {(Kind)kind, 19, 40, 5, 16, true},
            {(Kind)kind, 33, 18, 20, 70, false}, {(Kind)kind, 40, 3, 64, 150, true},
            {(Kind)kind, 0, 3, 2, 4, false},     {(Kind)kind, 3, 0, 2, 4, false},
            {(Kind)kind, 2, 3, 0, 4, true},      {(Kind)kind, 600, 2, 3, 20, true}};
        for (const Case& of : cases) test(set.c_str(), of, type, random);
      }
    std::printf("%s: done\n", set.c_str());
  }
  set_own_threads(3);
  // Several callers at the same time share the pool's threads.
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; i++)
    callers.emplace_back([i] {
      std::mt19937 random(i);
      for (int n = 0; n < 3; n++)
        test("callers", {(Kind)(n % 3), 33, 18, 20, 70, true}, FLOAT32, random, false);
    });
  for (std::thread& caller : callers) caller.join();
  refuses_wrong_arrays();
  std::printf(failures ? "%d failures\n" : "all right\n", failures);
  return failures != 0;
}
