#include "rpc.h"

/* RFC 5531, section 9. */
#define CALL 0u
#define REPLY 1u
#define RPC_VERSION 2u
#define MSG_ACCEPTED 0u
#define SUCCESS 0u
#define AUTH_BODY_LIMIT_BYTES 400u

/* RFC 5662, section 2: program, version, procedure, operations, the sizes of what is skipped. */
#define NFS_PROGRAM 100003u
#define NFS_VERSION 4u
#define PROCEDURE_COMPOUND 1u
#define NFS4_OK 0u
#define OP_PUTFH 22u
#define OP_READ 25u
#define OP_WRITE 38u
#define OP_SEQUENCE 53u
#define FILE_HANDLE_LIMIT_BYTES 128u
#define STATEID_BYTES 16u
#define OFFSET_BYTES 8u
#define SEQUENCE_ARGUMENT_BYTES 32u /* session id 16, sequence, slot, highest slot, cache this */
#define SEQUENCE_RESULT_BYTES 36u   /* session id 16, sequence, slot, highest slot, target's, flags */

/* Reads onwards; what lies beyond the message, or beyond what is kept of it, makes it `bad` and reads as 0. */
struct reader {
    const struct message *message;
    size_t at;
    bool bad;
};

static void skip(struct reader *reader, size_t count) {
    if (reader->bad || count > reader->message->beginning_bytes - reader->at)
        reader->bad = true;
    else
        reader->at += count;
}

static uint32_t take(struct reader *reader) {
    const size_t at = reader->at;
    skip(reader, 4);
    if (reader->bad)
        return 0;
    const uint8_t *const bytes = reader->message->beginning + at;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

static void require(struct reader *reader, uint32_t value) {
    if (take(reader) != value)
        reader->bad = true;
}

/* RFC 4506, section 4.10: opaque data is filled up to a multiple of four bytes. */
static size_t padded(uint32_t length) { return ((size_t)length + 3) & ~(size_t)3; }

static void skip_opaque(struct reader *reader, uint32_t limit_bytes) {
    const uint32_t length = take(reader);
    if (length > limit_bytes)
        reader->bad = true;
    else
        skip(reader, padded(length));
}

/* The length of opaque data, of which only the beginning need have been kept. */
static uint32_t take_data_length(struct reader *reader) {
    const uint32_t length = take(reader);
    if (!reader->bad && padded(length) > reader->message->bytes - reader->at)
        reader->bad = true;
    return length;
}

static void skip_authentication(struct reader *reader) {
    skip(reader, 4); /* flavour */
    skip_opaque(reader, AUTH_BODY_LIMIT_BYTES);
}

static void skip_to_arguments(struct reader *reader) {
    require(reader, RPC_VERSION);
    require(reader, NFS_PROGRAM);
    require(reader, NFS_VERSION);
    require(reader, PROCEDURE_COMPOUND);
    skip_authentication(reader); /* credential */
    skip_authentication(reader); /* verifier */
    skip_opaque(reader, UINT32_MAX); /* tag */
    skip(reader, 4);                 /* minor version */
}

static bool read_data_operation(struct reader *reader, struct call *call) {
    for (uint32_t left = take(reader); left > 0 && !reader->bad; left--) {
        switch (take(reader)) {
        case OP_SEQUENCE:
            skip(reader, SEQUENCE_ARGUMENT_BYTES);
            break;
        case OP_PUTFH:
            skip_opaque(reader, FILE_HANDLE_LIMIT_BYTES);
            break;
        case OP_READ:
            skip(reader, STATEID_BYTES + OFFSET_BYTES);
            call->kind = KIND_READ;
            call->bytes = take(reader);
            return !reader->bad;
        case OP_WRITE:
            skip(reader, STATEID_BYTES + OFFSET_BYTES + 4); /* and how stable */
            call->kind = KIND_WRITE;
            call->bytes = take_data_length(reader);
            return !reader->bad;
        default:
            return false;
        }
    }
    return false;
}

struct call rpc_read_call(const struct message *message) {
    struct reader reader = {.message = message};
    struct call call = {.kind = KIND_OTHER};
    call.xid = take(&reader);
    const uint32_t direction = take(&reader);
    if (reader.bad || direction != CALL) {
        call.is_reply = !reader.bad && direction == REPLY;
        return call;
    }
    call.awaits_reply = true;
    skip_to_arguments(&reader);
    if (!read_data_operation(&reader, &call)) {
        call.kind = KIND_OTHER;
        call.bytes = 0;
    }
    return call;
}

bool rpc_is_reply(const struct message *message, uint32_t *xid) {
    struct reader reader = {.message = message};
    *xid = take(&reader);
    require(&reader, REPLY);
    return !reader.bad;
}

static void skip_to_results(struct reader *reader) {
    skip(reader, 8); /* xid, REPLY */
    require(reader, MSG_ACCEPTED);
    skip_authentication(reader); /* verifier */
    require(reader, SUCCESS);
    skip(reader, 4);                 /* status of the whole COMPOUND: of its last operation, which may be another */
    skip_opaque(reader, UINT32_MAX); /* tag */
}

bool rpc_read_result(const struct message *message, enum kind kind, uint32_t *bytes) {
    struct reader reader = {.message = message};
    const uint32_t wanted = kind == KIND_READ ? OP_READ : OP_WRITE;
    skip_to_results(&reader);
    for (uint32_t left = take(&reader); left > 0 && !reader.bad; left--) {
        const uint32_t operation = take(&reader);
        require(&reader, NFS4_OK);
        if (operation == OP_SEQUENCE) {
            skip(&reader, SEQUENCE_RESULT_BYTES);
        } else if (operation == wanted) {
            if (kind == KIND_READ)
                skip(&reader, 4); /* end of file */
            *bytes = kind == KIND_READ ? take_data_length(&reader) : take(&reader);
            return !reader.bad;
        } else if (operation != OP_PUTFH) {
            return false;
        }
    }
    return false;
}
