/* A provider whose every piece can be replaced from the compiler's command line, to be bad in one way.
 * As it stands it is good: it adds two 2x2 matrices. */
#define _GNU_SOURCE
#include "remuda_provider.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef EXTRA
#define EXTRA ""
#endif
#ifndef MANIFEST
#define MANIFEST REMUDA_MANIFEST("odd", "1.0.0", EXTRA);
#endif
#ifndef SCORE
#define SCORE return 1
#endif
#ifndef OPEN
#define OPEN
#endif
#ifndef CLOSE
#define CLOSE
#endif
#ifndef DEVICES
#define DEVICES emit(context, &info)
#endif
#ifndef QUERY
#define QUERY
#endif
#ifndef COMPILE
#define COMPILE
#endif
#ifndef RUN
#define RUN
#endif
#ifndef RESULT
#define RESULT
#endif
#ifndef TABLE
#define TABLE
#endif
#ifndef FILE_LEVEL
#define FILE_LEVEL
#endif

MANIFEST
FILE_LEVEL

static remuda_status ok(void) { return remuda_status_of(REMUDA_OK, ""); }
static uint32_t score(void) { SCORE; }
static void close_instance(remuda_instance *instance) { CLOSE; }
static void free_program(remuda_program *program) {}

static remuda_status open_instance(const remuda_host *host, const remuda_key_value *options, size_t count,
                                   remuda_instance **out)
{
    static char nothing;
    *out = (remuda_instance *)&nothing;
    OPEN;
    return ok();
}

static remuda_status devices(remuda_instance *instance, void *context,
                             void (*emit)(void *context, const remuda_device_info *device))
{
    remuda_device_info info = {.struct_size = sizeof info, .usable = 1, .flags = REMUDA_DEVICE_HOST_MEMORY};
    info.kind = remuda_text("gpu");
    info.name = remuda_text("Odd 1");
    DEVICES;
    return ok();
}

static remuda_status query(remuda_instance *instance, uint32_t device, const remuda_graph *graph, void *context,
                           void (*emit)(void *context, uint32_t node, const remuda_support *support))
{
    for (uint32_t node = 0; node < graph->node_count; node++) {
        remuda_str op = graph->nodes[node].op;
        remuda_support support = {.struct_size = sizeof support};
        support.answer = op.len == 3 && !memcmp(op.ptr, "Add", 3) ? REMUDA_SUPPORT_YES : REMUDA_SUPPORT_NO;
        QUERY;
        emit(context, node, &support);
    }
    return ok();
}

static remuda_status compile(remuda_instance *instance, uint32_t device, const remuda_graph *region,
                             const remuda_compile_options *options, remuda_program **out)
{
    static char nothing;
    *out = (remuda_program *)&nothing;
    COMPILE;
    return ok();
}

static remuda_status run(remuda_program *program, const remuda_run_args *args)
{
    static const int64_t dims[2] = {2, 2};
    static float sum[4];
    const float *left = args->inputs[0].data, *right = args->inputs[1].data;
    remuda_value *out = args->outputs;
    RUN;
    for (int i = 0; i < 4; i++)
        sum[i] = left[i] + right[i];
    out->kind = REMUDA_KIND_TENSOR;
    out->dtype = REMUDA_DTYPE_F32;
    out->rank = 2;
    out->dims = dims;
    out->data = sum;
    out->bytes = sizeof sum;
    RESULT;
    return ok();
}

static remuda_status synchronize(remuda_instance *instance, uint32_t device, remuda_stream *stream)
{
    return ok();
}

static remuda_status memory_info(remuda_instance *instance, uint32_t device, remuda_memory_info *out)
{
    return ok();
}

#ifndef NO_ENTRY
const remuda_provider *remuda_provider_entry(uint32_t host_abi_major)
{
    static remuda_provider table = {.struct_size = sizeof table, .abi_major = REMUDA_ABI_MAJOR,
        .layout_hash = REMUDA_LAYOUT_HASH, .score = score, .open = open_instance, .close = close_instance,
        .devices = devices, .query = query, .compile = compile, .free_program = free_program, .run = run,
        .synchronize = synchronize, .memory_info = memory_info};
    table.name = remuda_text("odd");
    table.version = remuda_text("1.0.0");
    TABLE;
    return &table;
}
#endif
