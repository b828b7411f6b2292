/* A provider in C: Add, Mul and Relu of f32 tensors of fixed and equal shapes. It is the template for providers in C.
 * A region becomes a list of steps over slots, one slot per value of the graph. */
#include "remuda_provider.h"
#include <stdlib.h>
REMUDA_MANIFEST("example-c", "1.0.0", "description = \"Add, Mul and Relu, in C\"\n");
#define OK remuda_status_of(REMUDA_OK, "")
#define NO_MEMORY remuda_status_of(REMUDA_OUT_OF_MEMORY, "there is no memory left")
#define WRONG_CALL remuda_status_of(REMUDA_INVALID, "a pointer is null, or a count is wrong")
#define EACH(i, count) for (size_t i = 0; status.code == REMUDA_OK && i < (count); i++)
#define MAX_RANK 8
#define MAX_COUNT (UINT64_C(1) << 40)

struct slot {
    int64_t dims[MAX_RANK];
    uint32_t rank;
    uint64_t count;
    const float *constant;
    uint64_t offset; /* where its numbers lie in the memory of a run, if a step makes them */
};

struct step {
    uint32_t left, right, output;
    char op; /* the first letter of its name */
};

struct remuda_program {
    size_t slot_count, step_count, input_count, output_count;
    struct slot *slots;
    struct step *steps;
    uint32_t *ends; /* the slots of the inputs, then of the outputs */
    uint64_t made; /* numbers that the steps of a run make */
};

static int same(const struct slot *a, const struct slot *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}
static int is(remuda_str s, const char *word) { return s.len == strlen(word) && memcmp(s.ptr, word, s.len) == 0; }

/* The slot of an f32 tensor with fixed dimensions; 0 for any other value. */
static int read_type(const remuda_value_type *type, struct slot *slot)
{
    if (type->kind != REMUDA_KIND_TENSOR || type->dtype != REMUDA_DTYPE_F32 || type->rank > MAX_RANK)
        return 0;
    slot->rank = type->rank, slot->count = 1;
    for (uint32_t i = 0; i < type->rank; i++) {
        if (type->dims[i] < 0 || (slot->count > 0 && (uint64_t)type->dims[i] > MAX_COUNT / slot->count))
            return 0;
        slot->dims[i] = type->dims[i];
        slot->count *= (uint64_t)type->dims[i];
    }
    return 1;
}

/* Reads a node; why it cannot be run, or null. */
static const char *read_node(const remuda_graph *graph, const remuda_node *node, struct step *step)
{
    struct slot left, right, output;
    size_t wanted = is(node->op, "Relu") ? 1 : 2;
    if (node->domain.len > 0 || (wanted == 2 && !is(node->op, "Add") && !is(node->op, "Mul")))
        return "op-unsupported";
    if (node->input_count != wanted || node->output_count != 1 || node->outputs[0] == REMUDA_VALUE_NONE)
        return "attribute";
    step->op = (char)node->op.ptr[0];
    step->left = node->inputs[0], step->right = node->inputs[wanted - 1], step->output = node->outputs[0];
    if (!read_type(&graph->values[step->left].ty, &left) || !read_type(&graph->values[step->right].ty, &right) ||
        !read_type(&graph->values[step->output].ty, &output))
        return "dtype";
    return same(&left, &right) && same(&left, &output) ? NULL : "broadcast";
}

static uint32_t score(void) { return 1; }
static void close_instance(remuda_instance *instance) {}
static remuda_status open_instance(const remuda_host *host, const remuda_key_value *options, size_t count,
                                   remuda_instance **out)
{
    static char nothing; /* an instance of this provider has nothing to remember */
    if (host == NULL || out == NULL || count > 0)
        return remuda_status_of(REMUDA_INVALID, "a pointer is null, or there are options, of which it has none");
    return *out = (remuda_instance *)&nothing, OK;
}

static remuda_status devices(remuda_instance *instance, void *context,
                             void (*emit)(void *context, const remuda_device_info *device))
{
    static const remuda_device_info info = {.struct_size = sizeof info, .usable = 1, .kind = REMUDA_TEXT("cpu"),
        .name = REMUDA_TEXT("one core, plain C"), .unique_id = REMUDA_TEXT("example-c"),
        .flags = REMUDA_DEVICE_HOST_MEMORY};
    return emit(context, &info), OK;
}

static remuda_status query(remuda_instance *instance, uint32_t device, const remuda_graph *graph, void *context,
                           void (*emit)(void *context, uint32_t node, const remuda_support *support))
{
    for (uint32_t i = 0; graph != NULL && i < graph->node_count; i++) {
        struct step step;
        const char *no = read_node(graph, &graph->nodes[i], &step);
        remuda_support support = {.struct_size = sizeof support, .answer = no ? REMUDA_SUPPORT_NO : REMUDA_SUPPORT_YES,
            .code = remuda_text(no ? no : ""),
            .text = remuda_text(no ? "only Add, Mul and Relu of equal, fixed f32 shapes" : "")};
        emit(context, i, &support);
    }
    return graph == NULL ? WRONG_CALL : OK;
}

static void free_program(remuda_program *program)
{
    if (program != NULL)
        free(program->slots), free(program->steps), free(program->ends), free(program);
}

static remuda_status compile(remuda_instance *instance, uint32_t device, const remuda_graph *region,
                             const remuda_compile_options *options, remuda_program **out)
{
    remuda_program *program = region == NULL || out == NULL ? NULL : malloc(sizeof *program);
    if (program == NULL)
        return region == NULL || out == NULL ? WRONG_CALL : NO_MEMORY;
    remuda_program shape = {region->value_count, region->node_count, region->input_count, region->output_count,
        calloc(region->value_count + 1, sizeof(struct slot)), calloc(region->node_count + 1, sizeof(struct step)),
        calloc(region->input_count + region->output_count + 1, sizeof(uint32_t)), 0};
    *program = shape;
    if (!shape.slots || !shape.steps || !shape.ends)
        return free_program(program), NO_MEMORY;
    for (size_t i = 0; i < shape.slot_count; i++)
        if (read_type(&region->values[i].ty, &shape.slots[i]) && region->values[i].source == REMUDA_VALUE_CONST)
            shape.slots[i].constant = region->values[i].content->data; /* it outlives the program */
    for (uint32_t i = 0; i < shape.step_count; i++) {
        if (read_node(region, &region->nodes[i], &shape.steps[i]) != NULL)
            return free_program(program), remuda_status_of(REMUDA_UNSUPPORTED, "only Add, Mul and Relu");
        shape.slots[shape.steps[i].output].offset = program->made;
        program->made += shape.slots[shape.steps[i].output].count;
    }
    for (size_t i = 0; i < shape.input_count + shape.output_count; i++)
        shape.ends[i] = i < shape.input_count ? region->inputs[i] : region->outputs[i - shape.input_count];
    *out = program;
    return OK;
}

/* Gives a result to the host: to the place that it set, or in memory of its own with its dimensions. */
static int give(const struct slot *slot, const float *data, remuda_value *place)
{
    size_t bytes = slot->count * sizeof *data;
    if (place->data == NULL) {
        int64_t *block = malloc(sizeof slot->dims + bytes);
        remuda_value made = {.kind = REMUDA_KIND_TENSOR, .dtype = REMUDA_DTYPE_F32, .rank = slot->rank,
            .dims = block, .data = block + MAX_RANK, .bytes = bytes, .owner = block, .release = free};
        if (block == NULL)
            return 0;
        memcpy(block, slot->dims, sizeof slot->dims);
        *place = made;
    }
    return place->bytes >= bytes && (place->bytes = bytes, memcpy(place->data, data, bytes) != NULL);
}

static remuda_status run(remuda_program *program, const remuda_run_args *args)
{
    if (!program || !args || args->input_count != program->input_count || args->output_count != program->output_count)
        return WRONG_CALL;
    const float **data = calloc(program->slot_count + 1, sizeof *data);
    float *made = malloc(program->made * sizeof *made + 1);
    remuda_status status = data == NULL || made == NULL ? NO_MEMORY : OK;
    EACH(i, program->slot_count)
        data[i] = program->slots[i].constant ? program->slots[i].constant : made + program->slots[i].offset;
    EACH(i, program->input_count) {
        const remuda_value *value = &args->inputs[i];
        data[program->ends[i]] = value->data;
        if (value->dtype != REMUDA_DTYPE_F32 || value->bytes != program->slots[program->ends[i]].count * sizeof(float))
            status = remuda_status_of(REMUDA_INVALID, "an input is not of the shape that was compiled");
    }
    EACH(i, program->step_count) {
        const struct step *step = &program->steps[i];
        const float *left = data[step->left], *right = data[step->right];
        float *to = made + program->slots[step->output].offset;
        for (uint64_t at = 0; at < program->slots[step->output].count; at++)
            to[at] = step->op == 'A' ? left[at] + right[at] : step->op == 'M' ? left[at] * right[at]
                   : left[at] < 0 ? 0 : left[at];
    }
    EACH(i, program->output_count) {
        uint32_t end = program->ends[program->input_count + i];
        status = give(&program->slots[end], data[end], &args->outputs[i]) ? OK : NO_MEMORY;
    }
    return free(data), free(made), status;
}

static remuda_status synchronize(remuda_instance *instance, uint32_t device, remuda_stream *stream) { return OK; }
static remuda_status memory_info(remuda_instance *instance, uint32_t device, remuda_memory_info *out)
{
    return out == NULL ? WRONG_CALL : (out->total_bytes = out->free_bytes = 0, OK); /* it has none of its own */
}

const remuda_provider *remuda_provider_entry(uint32_t host_abi_major)
{
    static const remuda_provider table = {.struct_size = sizeof table, .abi_major = REMUDA_ABI_MAJOR,
        .abi_minor = REMUDA_ABI_MINOR, .layout_hash = REMUDA_LAYOUT_HASH, .name = REMUDA_TEXT("example-c"),
        .version = REMUDA_TEXT("1.0.0"), .score = score, .open = open_instance, .close = close_instance,
        .devices = devices, .query = query, .compile = compile, .free_program = free_program, .run = run,
        .synchronize = synchronize, .memory_info = memory_info};
    return host_abi_major == REMUDA_ABI_MAJOR ? &table : NULL;
}
