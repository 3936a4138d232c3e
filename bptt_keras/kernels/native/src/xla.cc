// Calls from programs that XLA has compiled, through its typed foreign function interface.
//
// The interface is a table of C functions. XLA's header has version 0.2 of it; what is
// declared here is the part that is used, with the same layout. TensorFlow does not have
// to be there when this is built: the table is looked up in the process.

#include <dlfcn.h>

#include <cstring>
#include <utility>

#include "library.h"

namespace bptt {
namespace {

struct Api;

struct Version {
  size_t struct_size = sizeof(Version);
  void* extension = nullptr;
  int major_version = 0, minor_version = 2;
};
struct Extension {
  size_t struct_size;
  int type;  // 1: metadata are asked for
  Extension* next;
};
struct Metadata {
  size_t struct_size;
  Version version;
};
struct MetadataExtension {
  Extension base;
  Metadata* metadata;
};
struct Buffer {
  size_t struct_size;
  void* extension;
  int type;
  void* data;
  int64_t rank;
  int64_t* sizes;
};
enum { BOOLEAN = 1, F32 = 11, BF16 = 16 };
struct Buffers {
  size_t struct_size;
  void* extension;
  int64_t count;
  int* kinds;  // 1: a buffer
  Buffer** buffers;
};
struct Attributes {
  size_t struct_size;
  void* extension;
  int64_t count;
  int* kinds;
  void **names, **values;
};
struct Frame {
  size_t struct_size;
  Extension* extension;
  const Api* api;
  void* context;
  int stage;
  Buffers arguments, results;
  Attributes attributes;
  void* future;
};
struct Span {
  const char* text;
  size_t length;
};

typedef struct Error Error;
struct CreateError {
  size_t struct_size = sizeof(CreateError);
  void* extension = nullptr;
  const char* message;
  int code;
};
struct DestroyError {
  size_t struct_size = sizeof(DestroyError);
  void* extension = nullptr;
  Error* error;
};
typedef Error* Handler(Frame*);
struct Register {
  size_t struct_size = sizeof(Register);
  void* extension = nullptr;
  Span name, platform;
  Handler *instantiate = nullptr, *prepare = nullptr, *initialize = nullptr, *execute = nullptr;
  uint32_t traits = 0;
};
struct Schedule {
  size_t struct_size = sizeof(Schedule);
  void* extension = nullptr;
  void* context;
  void (*task)(void*);
  void* data;
};
struct CountThreads {
  size_t struct_size = sizeof(CountThreads);
  void* extension = nullptr;
  void* context;
  int64_t* count;
};
struct Api {
  size_t struct_size;
  void* extension;
  Version version;
  const void* internal;
  Error* (*create_error)(CreateError*);
  void* get_message;
  void (*destroy_error)(DestroyError*);
  Error* (*register_handler)(Register*);
  void *get_stream, *register_type, *get_context, *set_state, *get_state, *allocate, *free;
  Error* (*schedule)(Schedule*);
  Error* (*count_threads)(CountThreads*);
};

bool succeeded(const Api* api, Error* error) {
  if (!error) return true;
  DestroyError arguments;
  arguments.error = error;
  api->destroy_error(&arguments);
  return false;
}

struct XlaPool : Pool {
  const Frame* frame;
  explicit XlaPool(const Frame* f) : frame(f) {}
  int threads() override {
    int64_t count = 1;
    CountThreads arguments;
    arguments.context = frame->context;
    arguments.count = &count;
    return succeeded(frame->api, frame->api->count_threads(&arguments)) ? (int)count : 1;
  }
  bool schedule(void (*task)(void*), void* data) override {
    Schedule arguments;
    arguments.context = frame->context;
    arguments.task = task;
    arguments.data = data;
    return succeeded(frame->api, frame->api->schedule(&arguments));
  }
};

constexpr int MOST = 16;  // arrays

const char* read(const Buffers& from, int count, Array* to) {
  if (count > MOST || from.count < count) return "another number of arrays";
  for (int i = 0; i < count; i++) {
    if (from.kinds[i] != 1) return "an argument is not an array";
    const Buffer& b = *from.buffers[i];
    if (b.type != BOOLEAN && b.type != F32 && b.type != BF16)
      return "arrays have to be float32, bfloat16 or booleans";
    to[i] = {b.type == BF16 ? BFLOAT16 : FLOAT32, b.type == BOOLEAN, (int)b.rank, b.sizes, b.data};
  }
  return nullptr;
}

template <int KIND, bool BACKWARD>
Error* handle(Frame* frame) {
  if (frame->extension && frame->extension->type == 1) {
    ((MetadataExtension*)frame->extension)->metadata->version = Version{};
    return nullptr;
  }
  constexpr Kind kind = (Kind)KIND;
  Array arrays[MOST];
  Call call;
  // Sizes that are unknown when a program is made come as further arguments.
  const char* wrong = read(frame->arguments, arguments(kind, BACKWARD), arrays);
  if (!wrong) wrong = set_arguments(kind, BACKWARD, arrays, arguments(kind, BACKWARD), &call);
  if (!wrong) wrong = read(frame->results, results(kind, BACKWARD), arrays);
  if (!wrong) wrong = set_results(arrays, (int)frame->results.count, &call);
  if (!wrong) {
    XlaPool pool(frame);
    wrong = compute(call, pool);
  }
  if (!wrong) return nullptr;
  CreateError error;
  error.message = wrong;
  error.code = 3;  // invalid argument
  return frame->api->create_error(&error);
}

constexpr const char* NAMES[KINDS][2] = {
    {"bptt_keras_lstm_forward", "bptt_keras_lstm_backward"},
    {"bptt_keras_gru_forward", "bptt_keras_gru_backward"},
    {"bptt_keras_gru_reset_before_forward", "bptt_keras_gru_reset_before_backward"},
    {"bptt_keras_simple_rnn_tanh_forward", "bptt_keras_simple_rnn_tanh_backward"},
    {"bptt_keras_simple_rnn_relu_forward", "bptt_keras_simple_rnn_relu_backward"},
    {"bptt_keras_simple_rnn_linear_forward", "bptt_keras_simple_rnn_linear_backward"},
};

bool add(const Api* api, const char* name, Handler* handler) {
  Register arguments;
  arguments.name = {name, std::strlen(name)};
  arguments.platform = {"Host", 4};
  arguments.execute = handler;
  return succeeded(api, api->register_handler(&arguments));
}

template <int... KIND>
bool add_all(const Api* api, std::integer_sequence<int, KIND...>) {
  return ((add(api, NAMES[KIND][0], handle<KIND, false>) &&
           add(api, NAMES[KIND][1], handle<KIND, true>)) &&
          ...);
}

int registered() {
  auto get = (const Api* (*)())dlsym(RTLD_DEFAULT, "_ZN3xla3ffi12GetXlaFfiApiEv");
  if (!get) return 1;
  const Api* api = get();
  const Version own;
  if (api->version.major_version != own.major_version ||
      api->version.minor_version < own.minor_version || api->struct_size < sizeof(Api))
    return 2;
  return add_all(api, std::make_integer_sequence<int, KINDS>()) ? 0 : 3;
}

}  // namespace
}  // namespace bptt

extern "C" __attribute__((visibility("default"))) int bptt_native_register_xla() {
  static const int result = bptt::registered();
  return result;
}
