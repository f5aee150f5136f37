/* command: the sub-commands of hwal, one table in main.c, and what they share.
 *
 * Exit codes   0 ok, 1 finding (the work was done and something is wrong with the data), 2 usage, 3 not running,
 *              4 stale. A command prints its result to stdout and everything else to stderr. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum { EXIT_OK = 0, EXIT_FINDING = 1, EXIT_USAGE = 2, EXIT_NOT_RUNNING = 3, EXIT_STALE = 4 };

int command_replay(int argc, char **argv);
int command_record(int argc, char **argv);
int command_run(int argc, char **argv);
int command_config(int argc, char **argv);
int command_journal(int argc, char **argv);
int command_status(int argc, char **argv);
int command_tail(int argc, char **argv);
int command_books(int argc, char **argv);
int command_order(int argc, char **argv);
int command_order_types(int argc, char **argv);
int command_orders(int argc, char **argv);
int command_limits(int argc, char **argv);
int command_positions(int argc, char **argv);
int command_feeds(int argc, char **argv);
int command_lat(int argc, char **argv);
int command_metrics(int argc, char **argv);
int command_top(int argc, char **argv);
int command_kill(int argc, char **argv);
int command_alerts(int argc, char **argv);
int command_operate(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_segments(int argc, char **argv);
int command_postmortem(int argc, char **argv);
int command_doctor(int argc, char **argv);

/* command_error: "hwal COMMAND: text" on stderr (red where colours are wanted); returns code. */
int command_error(const char *command, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));

/* command_unknown: what getopt refused, as one sentence; returns EXIT_USAGE. Set opterr = 0 before getopt_long. */
int command_unknown(const char *command, char **argv);

/* command_strategy_help: for a SPEC that ends in ":help", print the strategy's settings to stdout; false for any other.
 */
bool command_strategy_help(const char *spec);

/* command_text: text as a JSON string, bytes that are no UTF-8 as \xNN. A new reference. */
json_t *command_text(const char *text);

/* command_colour: is this stream a terminal, and does NO_COLOR not forbid it? */
bool command_colour(FILE *stream);
