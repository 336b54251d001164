/* What words from outside need before they are printed. */
#ifndef TIDEMARK_TEXT_H
#define TIDEMARK_TEXT_H

#include <stdbool.h>
#include <stdio.h>

/* Control characters become '?': a message is one line, whatever was given. */
void text_keep_on_one_line(char *text);

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(const char *text);

/* As a JSON string, with its quotes (RFC 8259, section 7); `text` is UTF-8. */
void text_write_json(const char *text, FILE *out);

#endif
