// Operations for programs that XLA does not compile, through TensorFlow's C interface.
//
// Its functions are looked up in the process when the library is loaded. Without
// TensorFlow in the process there are no operations, and nothing else happens.

#include <dlfcn.h>

#include <initializer_list>

#include "library.h"

namespace bptt {
namespace {

struct Context;       // TF_OpKernelContext
struct Construction;  // TF_OpKernelConstruction
struct Status;
struct Tensor;
enum { TF_FLOAT = 1, TF_BOOL = 10, TF_BFLOAT16 = 14, TF_INVALID_ARGUMENT = 3 };

// A function of TensorFlow, by name.
template <class F>
struct Function;
template <class R, class... A>
struct Function<R(A...)> {
  R (*pointer)(A...);
  explicit Function(const char* name) : pointer((R (*)(A...))dlsym(RTLD_DEFAULT, name)) {}
  R operator()(A... arguments) const { return pointer(arguments...); }
};

struct TensorFlow {
#define FUNCTION(name, ...) \
  Function<__VA_ARGS__> name { "TF_" #name }
  FUNCTION(NewStatus, Status*());
  FUNCTION(DeleteStatus, void(Status*));
  FUNCTION(GetCode, int(const Status*));
  FUNCTION(SetStatus, void(Status*, int, const char*));
  FUNCTION(NewOpDefinitionBuilder, void*(const char*));
  FUNCTION(OpDefinitionBuilderAddAttr, void(void*, const char*));
  FUNCTION(OpDefinitionBuilderAddInput, void(void*, const char*));
  FUNCTION(OpDefinitionBuilderAddOutput, void(void*, const char*));
  FUNCTION(OpDefinitionBuilderSetShapeInferenceFunction, void(void*, void (*)(void*, Status*)));
  FUNCTION(RegisterOpDefinition, void(void*, Status*));
  FUNCTION(ShapeInferenceContextSetUnknownShape, void(void*, Status*));
  FUNCTION(NewKernelBuilder, void*(const char*, const char*, void* (*)(Construction*),
                                   void (*)(void*, Context*), void (*)(void*)));
  FUNCTION(KernelBuilder_TypeConstraint, void(void*, const char*, int, Status*));
  FUNCTION(RegisterKernelBuilder, void(const char*, void*, Status*));
  FUNCTION(OpKernelConstruction_GetAttrInt32, void(Construction*, const char*, int32_t*, Status*));
  FUNCTION(OpKernelConstruction_GetAttrBool,
           void(Construction*, const char*, unsigned char*, Status*));
  FUNCTION(OpKernelConstruction_Failure, void(Construction*, Status*));
  FUNCTION(NumInputs, int(Context*));
  FUNCTION(GetInput, void(Context*, int, Tensor**, Status*));
  FUNCTION(AllocateOutput, Tensor*(Context*, int, int, const int64_t*, int, size_t, Status*));
  FUNCTION(OpKernelContext_Failure, void(Context*, Status*));
  FUNCTION(TensorType, int(const Tensor*));
  FUNCTION(NumDims, int(const Tensor*));
  FUNCTION(Dim, int64_t(const Tensor*, int));
  FUNCTION(TensorData, void*(const Tensor*));
  FUNCTION(DeleteTensor, void(Tensor*));
#undef FUNCTION

  bool there() const {
    return NewStatus.pointer && SetStatus.pointer && NewOpDefinitionBuilder.pointer &&
           OpDefinitionBuilderSetShapeInferenceFunction.pointer && NewKernelBuilder.pointer &&
           RegisterKernelBuilder.pointer && KernelBuilder_TypeConstraint.pointer &&
           GetInput.pointer && AllocateOutput.pointer &&
           OpKernelConstruction_GetAttrInt32.pointer && TensorData.pointer;
  }
};

const TensorFlow& tf() {
  static const TensorFlow* functions = new TensorFlow;
  return *functions;
}

constexpr int MOST = 16;  // arrays

// What an operation knows before it is given arrays.
struct Operation {
  Kind kind;
  bool saves, backward;
};

template <bool BACKWARD>
void* create(Construction* construction) {
  Status* status = tf().NewStatus();
  int32_t kind = 0;
  unsigned char saves = 0;
  tf().OpKernelConstruction_GetAttrInt32(construction, "kind", &kind, status);
  if (!BACKWARD && tf().GetCode(status) == 0)
    tf().OpKernelConstruction_GetAttrBool(construction, "saves", &saves, status);
  if (tf().GetCode(status) == 0 && (kind < 0 || kind >= KINDS))
    tf().SetStatus(status, TF_INVALID_ARGUMENT, "unknown kind of recurrence");
  if (tf().GetCode(status) != 0) {
    tf().OpKernelConstruction_Failure(construction, status);
    kind = 0;
  }
  tf().DeleteStatus(status);
  return new Operation{(Kind)kind, saves != 0, BACKWARD};
}
void destroy(void* operation) { delete (Operation*)operation; }

struct Run {
  Context* context;
  Status* status = tf().NewStatus();
  Tensor* tensors[2 * MOST];
  int64_t sizes[2 * MOST][3];
  int count = 0;

  ~Run() {
    for (int i = 0; i < count; i++) tf().DeleteTensor(tensors[i]);
    if (tf().GetCode(status) != 0) tf().OpKernelContext_Failure(context, status);
    tf().DeleteStatus(status);
  }
  bool fine() const { return tf().GetCode(status) == 0; }

  Array array(Tensor* tensor) {
    int64_t* own = sizes[count];
    tensors[count++] = tensor;
    int rank = tf().NumDims(tensor), type = tf().TensorType(tensor);
    for (int i = 0; i < rank && i < 3; i++) own[i] = tf().Dim(tensor, i);
    return {type == TF_BFLOAT16 ? BFLOAT16 : FLOAT32, type == TF_BOOL, rank, own,
            tf().TensorData(tensor)};
  }
  Array input(int i) {
    Tensor* tensor = nullptr;
    tf().GetInput(context, i, &tensor, status);
    return tensor ? array(tensor) : Array{};
  }
  Array output(int i, Type type, std::initializer_list<int64_t> shape) {
    size_t bytes = type == FLOAT32 ? 4 : 2;
    for (int64_t n : shape) bytes *= n;
    Tensor* tensor = tf().AllocateOutput(context, i, type == FLOAT32 ? TF_FLOAT : TF_BFLOAT16,
                                         shape.begin(), (int)shape.size(), bytes, status);
    return tensor ? array(tensor) : Array{};
  }
};

void run(void* made, Context* context) {
  const Operation& op = *(Operation*)made;
  Run run{context};
  Array arrays[MOST];
  int inputs = tf().NumInputs(context);
  const char* wrong =
      inputs == arguments(op.kind, op.backward) ? nullptr : "another number of arrays";
  for (int i = 0; !wrong && run.fine() && i < inputs; i++) arrays[i] = run.input(i);
  Call c;
  if (!wrong && run.fine()) wrong = set_arguments(op.kind, op.backward, arrays, inputs, &c);
  if (!wrong && run.fine()) {
    const Traits& of = traits[op.kind];
    int64_t width = of.gates * c.units;
    int n = 0;
    auto out = [&](std::initializer_list<int64_t> shape) {
      if (run.fine()) arrays[n] = run.output(n, c.type, shape), n++;
    };
    out({c.rows, c.steps, op.backward ? c.features : c.units});
    for (int s = 0; s < of.states; s++) out({c.rows, c.units});
    if (op.backward) {
      out({c.features, width});
      out({c.units, width});
      for (int i = 0; i < of.biases; i++) out({width});
    } else {
      out({c.rows, c.steps, op.saves ? saved_size(op.kind, c.units) : 0});
    }
    if (run.fine()) wrong = set_results(arrays, n, &c);
    if (!wrong && run.fine()) wrong = compute(c, own_pool());
  }
  if (wrong) tf().SetStatus(run.status, TF_INVALID_ARGUMENT, wrong);
}

void unknown_shapes(void* context, Status* status) {
  tf().ShapeInferenceContextSetUnknownShape(context, status);
}

bool add(const char* name, std::initializer_list<const char*> attributes,
         std::initializer_list<const char*> inputs, std::initializer_list<const char*> outputs,
         void* (*creator)(Construction*)) {
  Status* status = tf().NewStatus();
  void* definition = tf().NewOpDefinitionBuilder(name);
  for (const char* s : attributes) tf().OpDefinitionBuilderAddAttr(definition, s);
  for (const char* s : inputs) tf().OpDefinitionBuilderAddInput(definition, s);
  for (const char* s : outputs) tf().OpDefinitionBuilderAddOutput(definition, s);
  tf().OpDefinitionBuilderSetShapeInferenceFunction(definition, unknown_shapes);
  tf().RegisterOpDefinition(definition, status);
  for (int type : {TF_FLOAT, TF_BFLOAT16}) {
    if (tf().GetCode(status) != 0) break;
    void* kernel = tf().NewKernelBuilder(name, "CPU", creator, run, destroy);
    tf().KernelBuilder_TypeConstraint(kernel, "T", type, status);
    if (tf().GetCode(status) == 0) tf().RegisterKernelBuilder(name, kernel, status);
  }
  bool added = tf().GetCode(status) == 0;
  tf().DeleteStatus(status);
  return added;
}

bool added = false;

__attribute__((constructor)) void add_operations() {
  if (!tf().there()) return;
  constexpr const char* T = "T: {float, bfloat16}";
  added =
      add("BpttKerasForward", {T, "N: int >= 1", "M: int >= 1", "kind: int", "saves: bool"},
          {"x: T", "states: N * T", "kernel: T", "recurrent_kernel: T", "biases: M * T",
           "mask: bool", "reset: bool"},
          {"h_seq: T", "last: N * T", "saved: T"}, create<false>) &&
      add("BpttKerasBackward", {T, "N: int >= 1", "M: int >= 1", "kind: int"},
          {"x: T", "states: N * T", "kernel: T", "recurrent_kernel: T", "mask: bool", "reset: bool",
           "h_seq: T", "saved: T", "d_h_seq: T", "d_last: N * T"},
          {"d_x: T", "d_states: N * T", "d_kernel: T", "d_recurrent_kernel: T", "d_biases: M * T"},
          create<true>);
}

}  // namespace
}  // namespace bptt

extern "C" __attribute__((visibility("default"))) int bptt_native_has_ops() { return bptt::added; }
