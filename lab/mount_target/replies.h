/* From the server to the client: bytes pass as they come, and what passed is looked at and counted. A function that
 * returns false has found that the connection must be closed. */
#ifndef MOUNT_TARGET_REPLIES_H
#define MOUNT_TARGET_REPLIES_H

#include <stdbool.h>

#include "connection.h"

/* Takes what the server has sent, and sends it on. */
bool replies_receive(struct connection *connection);

/* Sends as much of what was taken as the client takes. */
bool replies_send(struct connection *connection);

#endif
