/* SPDX-License-Identifier: Apache-2.0 */
/* The provider border: the C structs through which Ashlar's core and an execution provider talk. Version 0, experimental.
 *
 * Rules that hold everywhere
 * - A struct that may grow starts with struct_size, set by the side that fills it. A reader uses no field beyond it.
 * - Functions that can fail return an AshlarCode (0 is success) and fill *status on failure. No exception crosses.
 * - Strings are UTF-8 and end with a zero byte unless a length stands beside them.
 * - What the core passes stays the core's and is valid for the call, or as long as the comment says; the same the other way.
 * - Tensors alone cross the border. Sequences, optionals and maps, and the operators on them, are the core's; so are If,
 *   Loop and Scan, unless a provider claims the node whole.
 *
 * Threads: create, verdict, prepare and release are called by one thread at a time per instance. bind and run of one step
 * may be called by several threads at once, each with a binding of its own. So may the functions of AshlarDevice; a queue and
 * the events signalled on it are used by one thread at a time.
 *
 * Versions: the entry function gets the core's version in AshlarHost and answers with its own in AshlarProvider; while the version is
 * 0, the layouts must be equal too. Either side refuses with both numbers.
 */
#ifndef ASHLAR_PROVIDER_ABI_H_
#define ASHLAR_PROVIDER_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ASHLAR_ABI_VERSION 0u
#define ASHLAR_ABI_LAYOUT 0xb6996f6eu /* a checksum of every struct, constant and signature below; a test says its value */
#define ASHLAR_MAX_RANK 16
#define ASHLAR_NONE 0xffffffffu /* an absent value or node */
#define ASHLAR_NO_OFFSET UINT64_MAX

/* Status codes; the numbers of ashlar::ErrorCode. */
typedef int32_t AshlarCode;
/* clang-format off */
enum {
  ASHLAR_OK = 0, ASHLAR_INVALID_ARGUMENT = 1, ASHLAR_INVALID_MODEL = 2, ASHLAR_UNSUPPORTED = 3, ASHLAR_NOT_FOUND = 4,
  ASHLAR_IO = 5, ASHLAR_OUT_OF_MEMORY = 6, ASHLAR_CANCELLED = 7, ASHLAR_DEADLINE_EXCEEDED = 8, ASHLAR_UNAVAILABLE = 9,
  ASHLAR_DEVICE_ERROR = 10, ASHLAR_RUNTIME = 11, ASHLAR_INTERNAL = 12
};
/* clang-format on */

/* Filled by the side that fails. The core adds node, operator, shapes and provider. */
typedef struct AshlarStatus {
  uint32_t struct_size;
  AshlarCode code;
  uint32_t node;      /* index of the node concerned in the graph view, or ASHLAR_NONE */
  int32_t verdict;    /* of a create that fails: ASHLAR_DEVICE_MISSING or ASHLAR_LIBRARY_MISSING; 0: not said */
  char message[1000]; /* one sentence, cut if need be, always ended by a zero byte */
} AshlarStatus;

typedef struct AshlarString {
  const char* data; /* not zero-ended */
  uint64_t size;
} AshlarString;

/* Memory spaces. Space 0 is the host's; a provider's own spaces are numbered from 1 in its AshlarProviderInfo. */
#define ASHLAR_SPACE_HOST 0u

/* A tensor. dtype is a number of ONNX's TensorProto.DataType. Elements are dense and row-major when layout is 0; sub-byte
 * elements are packed, the first in the low bits. Operands of a run are aligned for their elements and no further: a view, an input
 * stored inside another output and a caller's memory begin anywhere. Constants in a graph view, and operands that a step says it reads
 * unaligned, may lie at any address of a mapped file: read those with memcpy. data is an address of `space`. The data of a string tensor is opaque: use AshlarHost::string_get
 * and string_set; string tensors live in host memory. */
typedef struct AshlarTensor {
  uint32_t struct_size;
  int32_t dtype;
  int32_t rank;
  uint32_t space;
  const int64_t* dims;
  void* data;     /* null where only the type is known */
  uint64_t count; /* elements */
  uint64_t bytes;
  uint64_t layout; /* 0: dense row-major; else the producing provider's own tag */
  /* 0 but for operands of an AshlarGrowth. Else the storage has room for so many places along its axis: elements lie as in a dense tensor
   * that has `room` in the place of dims[axis]. */
  int64_t room;
} AshlarTensor;

/* ---- The graph view: read-only, valid from prepare until release of the program (verdict: for the call). ---- */

struct AshlarGraph;

typedef int32_t AshlarAttributeType;
/* clang-format off */
enum {
  ASHLAR_ATTR_INT = 1, ASHLAR_ATTR_FLOAT = 2, ASHLAR_ATTR_STRING = 3, ASHLAR_ATTR_TENSOR = 4, ASHLAR_ATTR_GRAPH = 5,
  ASHLAR_ATTR_INTS = 6, ASHLAR_ATTR_FLOATS = 7, ASHLAR_ATTR_STRINGS = 8
};
/* clang-format on */

/* One attribute; the field that goes with its type is set. Defaults of the operator's schema are filled in, so an attribute
 * that is absent has no default. */
typedef struct AshlarAttribute {
  uint32_t struct_size;
  AshlarAttributeType type;
  const char* name;
  int64_t i;
  float f;
  uint32_t reserved;
  AshlarString s;
  const int64_t* ints;
  const float* floats;
  const AshlarString* strings;
  uint64_t count; /* of ints, floats or strings */
  const AshlarTensor* tensor;
  const struct AshlarGraph* graph;
} AshlarAttribute;

typedef struct AshlarNode {
  uint32_t struct_size;
  int32_t since_version; /* of the form the node has: older forms reach a provider rewritten into newer ones */
  const char* id;        /* stable and unique: path and name, or Op#index */
  const char* op_type;
  const char* domain;     /* "" is ONNX's standard domain */
  const uint32_t* inputs; /* value ids, ASHLAR_NONE for an input that is left out */
  const uint32_t* outputs;
  uint32_t input_count;
  uint32_t output_count;
  const AshlarAttribute* attributes;
  uint64_t attribute_count;
  const uint32_t* captures; /* further values of this graph that the node's bodies read */
  uint64_t capture_count;
} AshlarNode;

typedef struct AshlarValue {
  uint32_t struct_size;
  int32_t is_tensor; /* 0: a sequence, optional or map, which no provider can take */
  const char* name;
  int32_t dtype;
  int32_t rank;                 /* -1 when unknown */
  const int64_t* dims;          /* -1 where not fixed */
  const char* const* symbols;   /* a name for each dimension, "" where it has none */
  const AshlarTensor* constant; /* non-null for a value known before any run */
} AshlarValue;

typedef struct AshlarGraph {
  uint32_t struct_size;
  uint32_t node_count;
  uint32_t value_count;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t node_stride; /* bytes from one AshlarNode to the next */
  uint32_t value_stride;
  uint32_t attribute_stride;
  const AshlarNode* nodes; /* in an order of execution */
  const AshlarValue* values;
  const uint32_t* inputs;
  const uint32_t* outputs;
} AshlarGraph;

/* ---- Verdicts ---- */

typedef int32_t AshlarVerdictCode;
/* clang-format off */
enum {
  ASHLAR_ACCEPTED = 0, ASHLAR_NO_KERNEL_OP = 1, ASHLAR_NO_KERNEL_DTYPE = 2, ASHLAR_NO_KERNEL_OPSET = 3, ASHLAR_RANK = 4,
  ASHLAR_ATTRIBUTE = 5, ASHLAR_LAYOUT = 6, ASHLAR_UNKNOWN_SHAPE = 7, ASHLAR_DYNAMIC_SHAPE = 8,
  ASHLAR_SUBGRAPH_TOO_SMALL = 9, ASHLAR_COST_MODEL = 10, ASHLAR_USER_PIN = 11, ASHLAR_DEVICE_MISSING = 12,
  ASHLAR_LIBRARY_MISSING = 13, ASHLAR_MEMORY_BUDGET = 14, ASHLAR_CAPTURE_INCOMPATIBLE = 15
};
/* clang-format on */

/* What a node's kernel takes, for a placement by cost. 0: not said; the core then counts by the operator's definition and the declared
 * shapes, and goes by the provider's AshlarRates. */
typedef struct AshlarCost {
  double operations;  /* arithmetic; a multiplication and the addition that takes its product are two */
  double bytes;       /* read and written in the memory it works in */
  double launch_ns;   /* beyond both */
  double nanoseconds; /* of everything, where the provider knows better than its rates do */
} AshlarCost;

/* Accepted while dimension `axis` of input `input` is at most `most`. A run in which it is more goes by a placement without this
 * provider for the node. */
typedef struct AshlarGuard {
  uint32_t input;
  uint32_t axis;
  int64_t most;
} AshlarGuard;
#define ASHLAR_MAX_GUARDS 4

/* A provider's answer for one node: a pure function of the graph view. A refusal without a code that stands above and a reason is an error. */
typedef struct AshlarVerdict {
  uint32_t struct_size;
  AshlarVerdictCode code;
  char reason[248]; /* one sentence; empty when accepted */
  char kernel[64];  /* the kernel that would run it, when accepted */
  AshlarCost cost;
  AshlarGuard guards[ASHLAR_MAX_GUARDS];
  uint32_t guard_count;
  uint32_t reserved;
} AshlarVerdict;

/* ---- Steps ---- */

/* What bind or run reports of an output. The core sets every field but rank, dims to 0 beforehand. */
typedef struct AshlarShape {
  int32_t rank; /* -1: known only when the step has run (see AshlarRunArgs::set_output) */
  int32_t dtype;
  int64_t dims[ASHLAR_MAX_RANK];
  uint64_t bytes;   /* storage it needs; 0: that of its dense elements */
  uint64_t layout;  /* other than 0 only for values that no step of another program and no caller reads */
  uint32_t view_of; /* i+1: its elements are those of input i from view_offset on, and it may share that storage; 0: none */
  uint32_t reserved;
  uint64_t view_offset; /* bytes */
} AshlarShape;

/* Arguments of a step's bind. The core sets inputs; the provider fills outputs, workspace and binding. */
typedef struct AshlarBindArgs {
  uint32_t struct_size;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t workspace_space; /* the memory space of the workspace; host memory unless bind says otherwise */
  const AshlarTensor* const*
      inputs;              /* null where left out; data, in host memory, only where AshlarStep::bind_reads asks for it, or for constants */
  AshlarShape* outputs;    /* dtype comes in from the graph */
  uint64_t* input_offsets; /* per input, set to ASHLAR_NO_OFFSET beforehand: the byte of output 0 from which on it may itself be stored */
  uint64_t workspace_bytes;
  void* binding; /* the provider's: arguments for these shapes; freed by AshlarStep::release_binding */
} AshlarBindArgs;

/* Arguments of a step's run. */
typedef struct AshlarRunArgs {
  uint32_t struct_size;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t reserved;
  const AshlarTensor* const* inputs; /* null where left out */
  AshlarTensor* const* outputs;      /* null where nobody wants it; data null until set_output where bind gave rank -1 */
  void* workspace;                   /* aligned to 64 bytes, or as its space is */
  void* binding;
  void* queue; /* the handle that AshlarDevice::queue_create gave; null for a host step */
  void* core;  /* passed to set_output */
  /* Gives an output whose shape depends on data its storage, in the space of the value: afterwards outputs[index] has dims and data.
   * Once per output, before run returns: a queued step whose shapes depend on data drains its queue itself. */
  AshlarCode (*set_output)(void* core, uint32_t index, const AshlarShape* shape, AshlarStatus* status);
} AshlarRunArgs;

/* Output `output` of a step is its input `input` with places appended along an axis (a cache of keys that a decoder extends), and the step
 * can leave the input where it is: where both come with the same data and room, it writes the appended places only. Each of the two, or
 * neither, may come with room; the core gives an input room only where no other step reads it. */
typedef struct AshlarGrowth {
  uint32_t struct_size;
  uint32_t input;
  uint32_t output;
  uint32_t axis;
} AshlarGrowth;

/* AshlarStep::flags */
/* clang-format off */
enum {
  ASHLAR_STEP_NO_CAPTURE = 1, /* run must not be recorded (AshlarDevice::capture_begin) */
  ASHLAR_STEP_MOVES = 2       /* it brings an operand of its node into another layout, and computes nothing of the node */
};
/* clang-format on */

/* Sharing storage is the core's choice: run compares the pointers it gets, and has nothing to do for an output whose view_of it finds
 * in place, or for an input that already lies at its offset.
 *
 * One unit of execution. run of a step whose queue is 0 is done when it returns. run of another enqueues its work on the queue of
 * that number and may return before the work is done; its operands, workspace and binding stay as they are until then. The core
 * orders what shares operands: steps of one queue run in order, and it puts waits between queues and before host steps. waits and
 * signals are for an order that operands do not show. */
typedef struct AshlarStep {
  uint32_t struct_size;
  uint32_t queue; /* 0: runs on the calling thread; else a queue of the provider, from 1 */
  void* context;  /* the provider's, valid until release */
  const char* kernel;
  const uint32_t* nodes;   /* the nodes of the graph view that this step computes */
  const uint32_t* inputs;  /* value ids; a constant that was packed in prepare need not be among them */
  const uint32_t* outputs; /* ids from AshlarGraph::value_count up are AshlarProgram::values */
  const uint32_t* waits;   /* events of this program, below AshlarProgram::event_count, that earlier steps signal */
  const uint32_t* signals; /* events that are signalled when this step is done */
  /* The memory space in which run reads input i, and writes output i; null: host memory for all. Where two steps want a value in two
   * spaces, the core copies it: constants once, others as soon as they are there. */
  const uint32_t* input_spaces;
  const uint32_t* output_spaces;
  uint32_t node_count;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t wait_count;
  uint32_t signal_count;
  uint32_t flags;      /* ASHLAR_STEP_* */
  uint64_t in_place;   /* bit i: output 0 may take the storage of input i, where both need as many bytes and the input is used no more */
  uint64_t bind_reads; /* bit i: bind reads the data of input i (a target shape, axes, ...) */
  uint64_t
      shape_only; /* bit i: run does not read the data of input i (a constant that was packed, a target shape); bind may, from any address */
  uint64_t
      unaligned; /* bit i: run reads input i at whatever address a file has it; else a constant is copied where that does not suit its elements */
  AshlarCode (*bind)(void* context, AshlarBindArgs* args, AshlarStatus* status);
  AshlarCode (*run)(void* context, const AshlarRunArgs* args, AshlarStatus* status);
  void (*release_binding)(void* context, void* binding); /* may be null */
  const AshlarGrowth* growths;
  uint32_t growth_count;
  uint32_t growth_stride; /* bytes from one to the next */
} AshlarStep;

/* A value of a program's own: its id is AshlarGraph::value_count plus its index. It lives where the step that writes it says. */
typedef struct AshlarProgramValue {
  uint32_t struct_size;
  int32_t dtype;
} AshlarProgramValue;

/* A claimed subgraph, lowered. Filled by prepare; everything in it is the provider's until release. */
typedef struct AshlarProgram {
  uint32_t struct_size;
  uint32_t step_count;
  uint32_t value_count;
  uint32_t event_count;
  const AshlarStep* steps;
  uint64_t step_stride;
  const AshlarProgramValue* values;
  uint64_t value_stride;
  void* handle;
} AshlarProgram;

/* ---- The core's services ---- */

/* Instruction sets of x86-64, each with those before it. */
/* clang-format off */
enum { ASHLAR_ISA_BASELINE = 1, ASHLAR_ISA_AVX2 = 2, ASHLAR_ISA_AVX512 = 3, ASHLAR_ISA_AMX = 4 };
/* clang-format on */

/* AshlarHost::features: what a core can do. */
/* clang-format off */
enum {
  ASHLAR_CORE_DEVICES = 1,  /* it drives AshlarDevice: memory spaces, queues, events, copies */
  ASHLAR_CORE_PACKED = 2,   /* it keeps packed constants */
  ASHLAR_CORE_CAPTURE = 4,  /* it records and replays */
  ASHLAR_CORE_FEATURES = 7
};
/* clang-format on */

typedef struct AshlarOption {
  const char* name;
  const char* value;
} AshlarOption;

typedef struct AshlarHost {
  uint32_t struct_size;
  uint32_t abi_version; /* ASHLAR_ABI_VERSION, ASHLAR_ABI_LAYOUT it was built with */
  uint32_t abi_layout;
  uint32_t features; /* ASHLAR_CORE_* */
  void* core;
  /* level: 0 debug, 1 info, 2 warning, 3 error. */
  void (*log)(void* core, int32_t level, const char* message);
  /* Calls body(context, begin, end) over disjoint ranges that cover [0, count), on several threads or one, and returns when
   * all are done. Range i of n is [count*i/n, count*(i+1)/n), n the smaller of threads and count/grain rounded up. body must not fail. */
  void (*parallel_for)(void* core, int64_t count, int64_t grain, void (*body)(void* context, int64_t begin, int64_t end), void* context);
  /* The index-th string of a string tensor, valid while the tensor is unchanged. */
  AshlarString (*string_get)(const AshlarTensor* tensor, uint64_t index);
  AshlarCode (*string_set)(const AshlarTensor* tensor, uint64_t index, AshlarString value, AshlarStatus* status);
  int32_t threads; /* that parallel_for uses at most, the caller's included */
  int32_t max_isa; /* ASHLAR_ISA_*: a provider uses no instructions beyond */
  /* A constant in a provider's own form, kept once for every session of the model that asks for the same constant and packing, as long
   * as the provider instance lives (in a space of the device's: as long as the instance). fill writes it into `bytes` bytes, aligned
   * to 64 or as the space is, where it is not there yet. Called in prepare or bind. The source's own pages may leave memory
   * afterwards: they are read again at need. Fails with ASHLAR_OUT_OF_MEMORY at a limit. */
  AshlarCode (*packed)(void* core, uint32_t space, const AshlarTensor* source, const char* packing, uint64_t bytes,
                       AshlarCode (*fill)(void* context, void* memory, AshlarStatus* status), void* context, const void** memory,
                       AshlarStatus* status);
  /* 1: nothing is run, the instance is asked for verdicts alone, for a device that need not be there: create does not look for it, and
   * describe and the device's functions are not called. What that device said of itself (AshlarProviderInfo::attributes) is planned. */
  int32_t plan_only;
  uint32_t planned_count;
  const AshlarOption* planned;
} AshlarHost;

/* ---- Memory and queues of a device ---- */

typedef struct AshlarSpaceInfo {
  uint32_t struct_size;
  uint32_t host_accessible; /* the calling thread may read and write it */
  const char* name;         /* "device", "pinned" */
  uint64_t total_bytes;     /* that allocate gives out at most, over all callers; 0: not known */
  uint64_t alignment;       /* of what allocate gives, a power of two; at least 64 */
} AshlarSpaceInfo;

/* AshlarProviderInfo::features: what a provider's device can do. */
/* clang-format off */
enum {
  ASHLAR_DEVICE_CAPTURE = 1, /* capture_begin and what follows it */
  ASHLAR_DEVICE_TIMES = 2    /* event_time */
};
/* clang-format on */

/* How fast a device is, for a placement by cost. 0: not said. */
typedef struct AshlarRates {
  double operations_per_second; /* that its kernels reach */
  double bytes_per_second;      /* of the memory they work in */
  double launch_ns;             /* that a kernel takes beyond */
  double upload_bytes_per_second;
  double download_bytes_per_second;
  double copy_ns; /* that a copy takes beyond */
} AshlarRates;

typedef struct AshlarProviderInfo {
  uint32_t struct_size;
  uint32_t space_count;       /* spaces numbered from 1 */
  uint32_t queue_count;       /* queues numbered from 1 */
  uint32_t features;          /* ASHLAR_DEVICE_* */
  uint32_t required_features; /* ASHLAR_CORE_* it cannot do without */
  uint32_t upload_queue;      /* where the core enqueues copies from host memory, and to it; may be one that steps use */
  uint32_t download_queue;
  uint32_t staging_space; /* host-accessible: the host side of every copy is put there; 0: copy takes any host memory */
  const AshlarSpaceInfo* spaces;
  uint64_t space_stride;
  const char* device; /* a sentence: model, driver */
  AshlarRates rates;
  const AshlarOption*
      attributes; /* of the device, that verdicts go by ("compute_capability", "9.0"): AshlarHost::planned gives them back */
  uint64_t attribute_count;
} AshlarProviderInfo;

/* Null for a provider that works in host memory on the calling thread. All functions take the instance.
 *
 * After a failure on the device, what was enqueued behind it may be left out, but its events are signalled, as failed: no wait hangs.
 * synchronize, drain and later calls then report ASHLAR_DEVICE_ERROR. */
typedef struct AshlarDevice {
  uint32_t struct_size;
  uint32_t reserved;
  /* ASHLAR_OUT_OF_MEMORY where the device has not that much left. */
  AshlarCode (*allocate)(void* instance, uint32_t space, uint64_t bytes, void** memory, AshlarStatus* status);
  /* No work that uses the memory is pending. */
  void (*free)(void* instance, uint32_t space, void* memory);
  /* A queue of its own for the caller, of the number's kind. Work enqueued on it is done in order. */
  AshlarCode (*queue_create)(void* instance, uint32_t queue, void** handle, AshlarStatus* status);
  void (*queue_destroy)(void* instance, void* handle); /* drained before */
  /* timed: event_time will be asked of it. */
  AshlarCode (*event_create)(void* instance, int32_t timed, void** event, AshlarStatus* status);
  void (*event_destroy)(void* instance, void* event);
  /* The event is signalled when the work enqueued so far is done. It may be signalled again once nothing waits for it. */
  AshlarCode (*signal)(void* instance, void* queue, void* event, AshlarStatus* status);
  /* Work enqueued later waits for the event, whose signal was enqueued before, on any queue of the instance. */
  AshlarCode (*wait)(void* instance, void* queue, void* event, AshlarStatus* status);
  /* The calling thread waits until the event is signalled, at most timeout_ns (0: asks only; negative: without limit), and says whether
   * it is. */
  AshlarCode (*synchronize)(void* instance, void* event, int64_t timeout_ns, int32_t* signalled, AshlarStatus* status);
  /* When a timed event was signalled, in nanoseconds of CLOCK_MONOTONIC. */
  AshlarCode (*event_time)(void* instance, void* event, int64_t* ns, AshlarStatus* status);
  /* Enqueues a copy between two spaces, or within one. Both sides stay as they are until it is done. */
  AshlarCode (*copy)(void* instance, void* queue, void* to, uint32_t to_space, const void* from, uint32_t from_space, uint64_t bytes,
                     AshlarStatus* status);
  /* The calling thread waits until the queue is empty. */
  AshlarCode (*drain)(void* instance, void* queue, AshlarStatus* status);
  /* Between begin and end, what is enqueued on the queue (steps and copies, no signals and waits) is recorded and not done. replay enqueues
   * all of it again, with the same operands; it may be called any number of times until recording_destroy. */
  AshlarCode (*capture_begin)(void* instance, void* queue, AshlarStatus* status);
  AshlarCode (*capture_end)(void* instance, void* queue, void** recording, AshlarStatus* status); /* ends it also when it fails */
  AshlarCode (*replay)(void* instance, void* queue, void* recording, AshlarStatus* status);
  void (*recording_destroy)(void* instance, void* recording);
  /* ASHLAR_OK while the device can go on; ASHLAR_DEVICE_ERROR and why, once it is lost: every later run then fails with that. */
  AshlarCode (*state)(void* instance, AshlarStatus* status);
} AshlarDevice;

/* ---- A provider ---- */

typedef struct AshlarProvider {
  uint32_t struct_size;
  uint32_t abi_version; /* ASHLAR_ABI_VERSION, ASHLAR_ABI_LAYOUT it was built with */
  uint32_t abi_layout;
  uint32_t reserved;
  const char* name;
  const char* version;
  /* host outlives the instance. Fails with ASHLAR_UNAVAILABLE where the machine lacks what the provider needs, saying what was looked for
   * and what was found (library, version, path, driver), and with ASHLAR_INVALID_ARGUMENT for an option it does not know. */
  AshlarCode (*create)(const AshlarHost* host, const AshlarOption* options, uint32_t option_count, void** instance, AshlarStatus* status);
  void (*destroy)(void* instance);
  AshlarCode (*describe)(void* instance, AshlarProviderInfo* info, AshlarStatus* status);
  AshlarCode (*verdict)(void* instance, const AshlarGraph* graph, uint32_t node, AshlarVerdict* verdict, AshlarStatus* status);
  /* Lowers nodes it accepted, given in an order of execution. */
  AshlarCode (*prepare)(void* instance, const AshlarGraph* graph, const uint32_t* nodes, uint32_t node_count, AshlarProgram* program,
                        AshlarStatus* status);
  void (*release)(void* instance, AshlarProgram* program);
  const AshlarDevice* device; /* may be null */
} AshlarProvider;

/* The one symbol a provider library exports, `ashlar_provider_entry`. In-tree providers linked statically name it
 * ashlar_provider_entry_NAME. The table must stay valid while the library is loaded. Null, with *status filled, when the versions do
 * not go together. Looks at no field of host but struct_size, abi_version and abi_layout. */
typedef const AshlarProvider* (*AshlarProviderEntry)(const AshlarHost* host, AshlarStatus* status);

#ifdef __cplusplus
}
#endif
#endif /* ASHLAR_PROVIDER_ABI_H_ */
