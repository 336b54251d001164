/* What a message is: an NFS 4.1 READ or WRITE, or anything else, and what came of it.
 *
 * ONC RPC: RFC 5531, section 9. COMPOUND, SEQUENCE, PUTFH, READ and WRITE: RFC 5662, the XDR of NFS 4.1. The kernel's
 * client sends data operations as COMPOUND {SEQUENCE, PUTFH, READ or WRITE, …}; what begins otherwise is `other`. */
#ifndef MOUNT_TARGET_RPC_H
#define MOUNT_TARGET_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Enough to reach a WRITE's length with the longest of everything in front: header 24, credential and verifier 408
 * each (RFC 5531: 400 bytes of body), tag 1028 (1024 is nfsd's own limit), SEQUENCE 36, PUTFH 136, WRITE 36. */
#define RPC_BEGINNING_BYTES 4096u

struct message {
    const uint8_t *beginning;
    size_t beginning_bytes; /* RPC_BEGINNING_BYTES, or the whole message if that is shorter */
    size_t bytes;           /* of the whole message */
};

enum kind { KIND_READ, KIND_WRITE, KIND_OTHER };
#define KINDS 3u
#define DATA_KINDS 2u /* KIND_READ and KIND_WRITE: those that are limited and metered */

struct call {
    enum kind kind;
    bool is_reply;     /* a client's answer to a call of the server's (backchannel): no call at all */
    bool awaits_reply; /* it is a call; false for what is neither call nor reply */
    uint32_t xid;
    uint32_t bytes; /* asked for by a READ, brought by a WRITE; 0 for KIND_OTHER */
};

struct call rpc_read_call(const struct message *message);

/* False if the message is no reply. */
bool rpc_is_reply(const struct message *message, uint32_t *xid);

/* Of the reply to a READ or WRITE: whether that operation has NFS4_OK, and the bytes that it moved. */
bool rpc_read_result(const struct message *message, enum kind kind, uint32_t *bytes);

#endif
