/* Records in a stream: each is one or more fragments behind a mark of four bytes, whose highest bit says that the
 * fragment is the record's last and whose other bits are its length (RFC 5531, section 11). The bytes themselves stay
 * where they are; only the beginning of the message is kept, as far as it takes to tell what it is. */
#ifndef MOUNT_TARGET_FRAMING_H
#define MOUNT_TARGET_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc.h"

/* Marks included. NFS moves 1 MiB at most in a call here (rsize and wsize of EFS's mount line), and a few hundred
 * bytes of headers; eight times that is no NFS. */
#define FRAMING_RECORD_LIMIT_BYTES (8u * 1024u * 1024u)

#define FRAMING_MARK_BYTES 4u

enum framing_event { FRAMING_GOES_ON, FRAMING_RECORD_ENDS, FRAMING_TOO_LONG };

struct framing {
    size_t record_bytes;  /* of this record so far, marks included; 0 between records */
    size_t message_bytes; /* of this record so far, without marks */
    size_t fragment_left; /* of the current fragment, still to come */
    bool in_last_fragment;
    uint8_t mark[FRAMING_MARK_BYTES];
    uint8_t beginning[RPC_BEGINNING_BYTES];
};

/* Takes bytes up to the end of the record, or all there are; returns how many. After FRAMING_RECORD_ENDS the message
 * can be looked at until framing_begin. After FRAMING_TOO_LONG the stream can't be followed any more. */
size_t framing_take(struct framing *framing, const uint8_t *bytes, size_t count, enum framing_event *event);

struct message framing_message(const struct framing *framing);

/* Makes ready for the next record. */
void framing_begin(struct framing *framing);

#endif
