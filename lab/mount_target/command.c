#include "command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "output.h"

static const struct {
    const char *name;
    size_t place; /* in struct model */
    uint64_t least;
    bool may_be_null;
} fields[] = {
    {"delay_ns", offsetof(struct model, delay_ns), 0, false},
    {"read_ops_per_s", offsetof(struct model, read_ops_per_s), 1, true},
    {"write_ops_per_s", offsetof(struct model, write_ops_per_s), 1, true},
    {"bytes_per_s", offsetof(struct model, bytes_per_s), 1, true},
    {"metering_minimum_bytes", offsetof(struct model, metering_minimum_bytes), 1, false},
};
#define FIELDS (sizeof fields / sizeof *fields)

/* Stops at the first thing that is wrong, and keeps the reason. */
struct parser {
    const char *line;
    const char *at;
    char *reason;
    bool failed;
};

static void __attribute__((format(printf, 2, 3))) fail(struct parser *parser, const char *format, ...) {
    if (parser->failed)
        return;
    parser->failed = true;
    va_list values;
    va_start(values, format);
    vsnprintf(parser->reason, COMMAND_REASON_BYTES, format, values);
    va_end(values);
}

static void skip_space(struct parser *parser) { parser->at += strspn(parser->at, " \t\r"); }

/* If `word` comes next, takes it. */
static bool take(struct parser *parser, const char *word) {
    skip_space(parser);
    const size_t length = strlen(word);
    if (parser->failed || strncmp(parser->at, word, length) != 0)
        return false;
    parser->at += length;
    return true;
}

static void expect(struct parser *parser, const char *word, const char *what) {
    if (!take(parser, word))
        fail(parser, "byte %td: expected %s", parser->at - parser->line + 1, what);
}

static void expect_key(struct parser *parser, const char *quoted, const char *name) {
    expect(parser, quoted, name);
    expect(parser, ":", "a colon");
}

/* Digits without a leading zero, from `least` to MODEL_MOST, which is far from what overflows. */
static bool take_number(struct parser *parser, uint64_t least, uint64_t *value) {
    skip_space(parser);
    const size_t digits = strspn(parser->at, "0123456789");
    const bool leading_zero = digits > 1 && *parser->at == '0';
    *value = 0;
    if (digits == 0 || digits > 13 || leading_zero)
        return false;
    for (size_t i = 0; i < digits; i++)
        *value = *value * 10 + (uint64_t)(*parser->at++ - '0');
    return *value >= least && *value <= MODEL_MOST && strchr(" \t\r,}", *parser->at) != NULL && *parser->at != '\0';
}

static uint64_t parse_value(struct parser *parser, size_t field) {
    uint64_t value;
    if (fields[field].may_be_null && take(parser, "null"))
        return 0;
    if (!take_number(parser, fields[field].least, &value))
        fail(parser, "model.%s: allowed: a whole number from %" PRIu64 " to %" PRIu64 "%s", fields[field].name,
             fields[field].least, MODEL_MOST, fields[field].may_be_null ? ", or null" : "");
    return value;
}

static size_t take_name(struct parser *parser) {
    expect(parser, "\"", "a field of the model");
    for (size_t field = 0; field < FIELDS; field++) {
        const size_t length = strlen(fields[field].name);
        if (strncmp(parser->at, fields[field].name, length) == 0 && parser->at[length] == '"') {
            parser->at += length + 1;
            expect(parser, ":", "a colon");
            return field;
        }
    }
    fail(parser, "byte %td: no such field of the model; allowed: delay_ns, read_ops_per_s, write_ops_per_s, "
         "bytes_per_s, metering_minimum_bytes", parser->at - parser->line + 1);
    return 0;
}

static void parse_model(struct parser *parser, struct model *model) {
    bool given[FIELDS] = {false};
    expect(parser, "{", "null or an object");
    do {
        const size_t field = take_name(parser);
        if (given[field])
            fail(parser, "model.%s: given twice; allowed: once", fields[field].name);
        given[field] = true;
        const uint64_t value = parse_value(parser, field);
        memcpy((char *)model + fields[field].place, &value, sizeof value);
    } while (take(parser, ","));
    expect(parser, "}", "a comma or the end of the model");
    for (size_t field = 0; field < FIELDS; field++) {
        if (!given[field])
            fail(parser, "model.%s: not given; allowed: a whole number%s", fields[field].name,
                 fields[field].may_be_null ? ", or null" : "");
    }
}

bool command_parse(const char *line, struct command *command, char reason[COMMAND_REASON_BYTES]) {
    struct parser parser = {.line = line, .at = line, .reason = reason};
    *command = (struct command){0};
    expect(&parser, "{", "an object with the field model alone");
    expect_key(&parser, "\"model\"", "the field model");
    command->has_model = !take(&parser, "null");
    if (command->has_model)
        parse_model(&parser, &command->model);
    expect(&parser, "}", "the end of the object: its field is model alone");
    skip_space(&parser);
    if (*parser.at != '\0')
        fail(&parser, "byte %td: expected the end of the line", parser.at - line + 1);
    return !parser.failed;
}

void command_print_model(const struct model *model) {
    if (model == NULL) {
        output_line("{\"kind\":\"model\",\"model\":null}");
        return;
    }
    char texts[FIELDS][32];
    for (size_t field = 0; field < FIELDS; field++) {
        uint64_t value;
        memcpy(&value, (const char *)model + fields[field].place, sizeof value);
        if (fields[field].may_be_null && value == 0)
            strcpy(texts[field], "null");
        else
            snprintf(texts[field], sizeof texts[field], "%" PRIu64, value);
    }
    output_line("{\"kind\":\"model\",\"model\":{\"delay_ns\":%s,\"read_ops_per_s\":%s,\"write_ops_per_s\":%s,"
                "\"bytes_per_s\":%s,\"metering_minimum_bytes\":%s}}", texts[0], texts[1], texts[2], texts[3], texts[4]);
}
