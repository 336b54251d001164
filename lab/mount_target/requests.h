/* From the client to the server: whole records, held back as the service model says. A function that returns false
 * has found that the connection must be closed. */
#ifndef MOUNT_TARGET_REQUESTS_H
#define MOUNT_TARGET_REQUESTS_H

#include <stdbool.h>

#include "connection.h"

/* Takes what the client has sent. */
bool requests_receive(struct connection *connection);

/* Puts a record into the line of those to be sent. */
void requests_forward(struct record *record);

/* Sends as much of that line as the server takes. */
bool requests_send(struct connection *connection);

#endif
