/* Buffers and streams: what is put into a stream is done when somebody waits for it, and not before. */
#define MOST 64
struct remuda_buffer { size_t bytes; char *data; };
struct job { int up; remuda_buffer *buffer; uint64_t offset; void *data; uint64_t bytes; remuda_stream *first; size_t until; };
struct remuda_stream { size_t done, count; struct job jobs[MOST]; };
struct remuda_event { remuda_stream *stream; size_t until; };

static void finish(remuda_stream *stream, size_t until)
{
    for (; stream->done < until; stream->done++) {
        struct job *job = &stream->jobs[stream->done % MOST];
        if (job->first != NULL)
            finish(job->first, job->until);
        else
            memcpy(job->up ? job->buffer->data + job->offset : job->data, job->up ? job->data : job->buffer->data + job->offset, job->bytes);
    }
}

static remuda_status put(remuda_stream *stream, struct job job)
{
    if (stream->count - stream->done == MOST)
        finish(stream, stream->count);
    return stream->jobs[stream->count++ % MOST] = job, OK;
}

static remuda_status allocate(remuda_instance *instance, uint32_t device, uint64_t bytes, uint64_t align, remuda_buffer **out)
{
    remuda_buffer *buffer = out == NULL || bytes > 1 << 28 ? NULL : malloc(sizeof *buffer);
    if (buffer == NULL)
        return out == NULL ? WRONG_CALL : NO_MEMORY;
    buffer->bytes = bytes, buffer->data = calloc(bytes + 1, 1);
    return *out = buffer, OK;
}

static void free_buffer(remuda_buffer *buffer)
{
    if (buffer != NULL)
        free(buffer->data), free(buffer);
}

static remuda_status move(int up, remuda_buffer *buffer, uint64_t offset, void *data, uint64_t bytes, remuda_stream *stream)
{
    struct job job = {.up = up, .buffer = buffer, .offset = offset, .data = data, .bytes = bytes};
    if (buffer == NULL || (data == NULL && bytes > 0) || offset > buffer->bytes || bytes > buffer->bytes - offset)
        return WRONG_CALL;
    if (stream != NULL)
        return put(stream, job);
    if (bytes > 0)
        memcpy(up ? buffer->data + offset : data, up ? data : buffer->data + offset, bytes);
    return OK;
}

static remuda_status upload(remuda_buffer *buffer, uint64_t offset, const void *data, uint64_t bytes, remuda_stream *stream)
{
    return move(1, buffer, offset, (void *)data, bytes, stream);
}

static remuda_status download(remuda_buffer *buffer, uint64_t offset, void *data, uint64_t bytes, remuda_stream *stream)
{
    return move(0, buffer, offset, data, bytes, stream);
}

static remuda_status create_stream(remuda_instance *instance, uint32_t device, remuda_stream **out)
{
    if (out == NULL)
        return WRONG_CALL;
    *out = calloc(1, sizeof **out);
    return *out == NULL ? NO_MEMORY : OK;
}

static void free_stream(remuda_stream *stream)
{
    if (stream != NULL)
        finish(stream, stream->count), free(stream);
}

static remuda_status record_event(remuda_stream *stream, remuda_event **out)
{
    remuda_event *event = stream == NULL || out == NULL ? NULL : malloc(sizeof *event);
    if (event == NULL)
        return stream == NULL || out == NULL ? WRONG_CALL : NO_MEMORY;
    event->stream = stream, event->until = stream->count;
    return *out = event, OK;
}

static remuda_status wait_event(remuda_stream *stream, remuda_event *event)
{
    if (stream == NULL || event == NULL)
        return WRONG_CALL;
    struct job job = {.first = event->stream, .until = event->until};
    return put(stream, job);
}

static void free_event(remuda_event *event) { free(event); }

static remuda_status synchronize(remuda_instance *instance, uint32_t device, remuda_stream *stream)
{
    if (stream != NULL)
        finish(stream, stream->count);
    return OK;
}

