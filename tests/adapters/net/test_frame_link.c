/* frame_link: frames over a socket.
 *
 * Invariants   what is put comes out, the same bytes in the same order, wherever the stream was cut; a full buffer takes
 *              nothing and loses nothing, and sent says exactly which bytes the kernel has; any changed byte gives a frame
 *              that verifies or ends in ERR_PARSE, and nothing is read beyond what came.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/net/frame_link.h"

#define CAP (1u << 14)

static uint8_t in[2][CAP] __attribute__((aligned(8))), out[2][CAP] __attribute__((aligned(8)));

static void pair(frame_link_t *a, frame_link_t *b)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    frame_link_open(a, fds[0], in[0], CAP, out[0], CAP);
    frame_link_open(b, fds[1], in[1], CAP, out[1], CAP);
}

/* Message n: a book of n % 65 levels, or a trade. */
static err_t put(frame_link_t *link, uint32_t n)
{
    level_t             levels[BOOK_UPDATE_MAX_LEVELS];
    const uint32_t      count = n % (BOOK_UPDATE_MAX_LEVELS + 1);
    const book_update_t book  = {.instrument_id = n + 1, .rpt_seq = n, .bid_count = (uint16_t)count};
    const trade_t       trade = {.instrument_id = n + 1, .px = n, .qty = 7};
    for (uint32_t i = 0; i < count; i++) {
        levels[i] = (level_t){.px = n + i, .qty = i};
    }
    return n % 3 == 0
               ? frame_link_put(link, n, &(msg_t){.type = MSG_TRADE, .body = &trade})
               : frame_link_put(link, n,
                                &(msg_t){.type = MSG_BOOK_UPDATE, .body = &book, .tail = levels, .tail_count = count});
}

static void check(const msg_t *msg, uint32_t topic, uint32_t n)
{
    assert_int_equal(topic, n);
    assert_int_equal(msg->type, n % 3 == 0 ? MSG_TRADE : MSG_BOOK_UPDATE);
    assert_int_equal(*(const uint32_t *)msg->body, n + 1);
    assert_int_equal(msg->tail_count, n % 3 == 0 ? 0 : n % (BOOK_UPDATE_MAX_LEVELS + 1));
    for (uint32_t i = 0; i < msg->tail_count; i++) {
        assert_int_equal(((const level_t *)msg->tail)[i].px, n + i);
    }
}

static void test_frame_link_a_slow_reader_loses_nothing(void **state)
{
    (void)state;
    frame_link_t a, b;
    uint32_t     written = 0, seen = 0, full = 0, topic;
    msg_t        msg;
    pair(&a, &b);
    for (uint32_t round = 0; seen < 20000; round++) {
        while (put(&a, written) == ERR_OK) {
            written++;
        }
        full++;
        const err_t err = frame_link_flush(&a);
        assert_true(err == ERR_OK || err == ERR_AGAIN);
        assert_true(a.sent <= a.put);
        assert_int_equal(a.put - a.sent, a.out_end - a.out_at);
        if (round % 7 == 0) { /* now and then it reads */
            while (frame_link_fill(&b) == ERR_OK) {
                while (frame_link_next(&b, &topic, &msg) == ERR_OK) {
                    check(&msg, topic, seen++);
                }
            }
        }
    }
    assert_true(full > 10);
    close(b.fd);
    b.fd = -1;
    frame_link_flush(&a);
    put(&a, written);
    assert_int_equal(frame_link_flush(&a), ERR_END);
    frame_link_close(&a);
}

static void test_frame_link_takes_frames_cut_anywhere(void **state)
{
    (void)state;
    frame_link_t a, b;
    pair(&a, &b);
    for (uint32_t n = 0; n < 9; n++) {
        assert_int_equal(put(&a, n), ERR_OK);
    }
    static uint8_t tape[CAP];
    const size_t   len = a.out_end;
    memcpy(tape, a.out, len);
    frame_link_close(&a);
    frame_link_close(&b);
    for (size_t cut = 0; cut <= len; cut++) {
        uint32_t topic, frames = 0;
        msg_t    msg;
        pair(&a, &b);
        for (uint32_t half = 0; half < 2; half++) {
            const size_t bytes = half == 0 ? cut : len - cut;
            assert_int_equal(write(a.fd, tape + (half == 0 ? 0 : cut), bytes), (ssize_t)bytes);
            while (frame_link_fill(&b) == ERR_OK) {
            }
            while (frame_link_next(&b, &topic, &msg) == ERR_OK) {
                check(&msg, topic, frames++);
            }
            assert_true(half == 1 || frames < 9 || cut == len);
        }
        assert_int_equal(frames, 9);
        frame_link_close(&a);
        assert_int_equal(frame_link_fill(&b), ERR_END);
        frame_link_close(&b);
    }
}

static void test_frame_link_refuses_what_is_no_frame(void **state)
{
    (void)state;
    frame_link_t a, b;
    pair(&a, &b);
    assert_int_equal(put(&a, 5), ERR_OK);
    static uint8_t tape[CAP];
    const size_t   len = a.out_end;
    memcpy(tape, a.out, len);
    frame_link_close(&a);
    frame_link_close(&b);
    uint32_t refused = 0;
    for (size_t at = 0; at < len; at++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            uint32_t topic;
            msg_t    msg;
            pair(&a, &b);
            tape[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(write(a.fd, tape, len), (ssize_t)len);
            tape[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(frame_link_fill(&b), ERR_OK);
            const err_t err = frame_link_next(&b, &topic, &msg);
            assert_true(err == ERR_OK || err == ERR_AGAIN || err == ERR_PARSE);
            assert_true(err != ERR_PARSE || strlen(err_msg()) > 10);
            refused += err == ERR_PARSE;
            if (at >= 6 && at < 8) { /* flags */
                assert_int_equal(err, ERR_PARSE);
            }
            frame_link_close(&a);
            frame_link_close(&b);
        }
    }
    assert_true(refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_link_a_slow_reader_loses_nothing),
        cmocka_unit_test(test_frame_link_takes_frames_cut_anywhere),
        cmocka_unit_test(test_frame_link_refuses_what_is_no_frame),
    };
    return cmocka_run_group_tests_name("frame_link", tests, NULL, NULL);
}
