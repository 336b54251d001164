#include "framing.h"

#include <string.h>

#define LAST_FRAGMENT 0x80u

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* How much of the mark is still to come; 0 within a fragment. The first mark is at 0, and every other follows a
 * fragment's end, so what was taken says where in a mark the stream is. */
static size_t mark_missing(const struct framing *framing) {
    if (framing->fragment_left > 0)
        return 0;
    return FRAMING_MARK_BYTES - (framing->record_bytes - framing->message_bytes) % FRAMING_MARK_BYTES;
}

/* Returns false when the record would become too long. */
static bool read_mark(struct framing *framing) {
    const uint8_t *const mark = framing->mark;
    framing->in_last_fragment = (mark[0] & LAST_FRAGMENT) != 0;
    framing->fragment_left = (size_t)(mark[0] & ~LAST_FRAGMENT) << 24 | (size_t)mark[1] << 16 | (size_t)mark[2] << 8 |
                             (size_t)mark[3];
    return framing->record_bytes + framing->fragment_left <= FRAMING_RECORD_LIMIT_BYTES;
}

static void keep_beginning(struct framing *framing, const uint8_t *bytes, size_t count) {
    const size_t kept = smaller(framing->message_bytes, RPC_BEGINNING_BYTES);
    memcpy(framing->beginning + kept, bytes, smaller(count, RPC_BEGINNING_BYTES - kept));
}

size_t framing_take(struct framing *framing, const uint8_t *bytes, size_t count, enum framing_event *event) {
    size_t taken = 0;
    *event = FRAMING_GOES_ON;
    while (taken < count) {
        const size_t missing = mark_missing(framing);
        const size_t part = smaller(count - taken, missing > 0 ? missing : framing->fragment_left);
        if (missing > 0) {
            memcpy(framing->mark + FRAMING_MARK_BYTES - missing, bytes + taken, part);
            framing->record_bytes += part;
            taken += part;
            if (part < missing)
                break;
            if (!read_mark(framing)) {
                *event = FRAMING_TOO_LONG;
                break;
            }
        } else {
            keep_beginning(framing, bytes + taken, part);
            framing->record_bytes += part;
            framing->message_bytes += part;
            framing->fragment_left -= part;
            taken += part;
        }
        if (framing->in_last_fragment && framing->fragment_left == 0) {
            *event = FRAMING_RECORD_ENDS;
            break;
        }
    }
    return taken;
}

struct message framing_message(const struct framing *framing) {
    return (struct message){
        .beginning = framing->beginning,
        .beginning_bytes = smaller(framing->message_bytes, RPC_BEGINNING_BYTES),
        .bytes = framing->message_bytes,
    };
}

void framing_begin(struct framing *framing) {
    framing->record_bytes = 0;
    framing->message_bytes = 0;
    framing->fragment_left = 0;
    framing->in_last_fragment = false;
}
