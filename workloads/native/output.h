/* Lines to standard output, through a queue with a thread of its own: a reader that stalls for a while (a pipe into
 * SSH, say) holds up neither the counting nor, through that, the operations. The queue grows by a few KiB a second.
 * A reader that has gone ends the process by SIGPIPE at the next line: a worker whose SSH connection is lost does
 * not go on loading the storage. */
#ifndef TIDEMARK_OUTPUT_H
#define TIDEMARK_OUTPUT_H

void output_start(void);

/* Takes over `line`, from malloc, which ends with a newline. */
void output_push(char *line);

/* Returns once everything is written. */
void output_finish(void);

#endif
