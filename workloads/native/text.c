#include "text.h"

#include <stdint.h>

void text_keep_on_one_line(char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

bool text_is_utf8(const char *text) {
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0';) {
        uint32_t point;
        int more;
        if (*byte < 0x80) {
            byte++;
            continue;
        } else if (*byte >> 5 == 0x6) {
            point = *byte & 0x1f;
            more = 1;
        } else if (*byte >> 4 == 0xe) {
            point = *byte & 0x0f;
            more = 2;
        } else if (*byte >> 3 == 0x1e) {
            point = *byte & 0x07;
            more = 3;
        } else {
            return false;
        }
        byte++;
        for (int i = 0; i < more; i++, byte++) {
            if (*byte >> 6 != 0x2)
                return false;
            point = point << 6 | (*byte & 0x3f);
        }
        static const uint32_t least_of_length[] = {0, 0x80, 0x800, 0x10000};
        if (point < least_of_length[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
    }
    return true;
}

void text_write_json(const char *text, FILE *out) {
    putc('"', out);
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            fprintf(out, "\\u%04x", byte);
        else
            putc(byte, out);
    }
    putc('"', out);
}
