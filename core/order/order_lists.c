#include "core/order/order_private.h"

void order_age_unlink(order_table_t *t, order_list_t *list, order_t *o)
{
    *(o->age_prev == ORDER_NONE ? &list->first : &row_at(t, o->age_prev)->age_next) = o->age_next;
    *(o->age_next == ORDER_NONE ? &list->last : &row_at(t, o->age_next)->age_prev)  = o->age_prev;
}

void order_age_push_front(order_table_t *t, order_list_t *list, uint32_t row)
{
    order_t *o                                                                     = row_at(t, row);
    o->age_prev                                                                    = ORDER_NONE;
    o->age_next                                                                    = list->first;
    *(list->first == ORDER_NONE ? &list->last : &row_at(t, list->first)->age_prev) = row;
    list->first                                                                    = row;
}

void order_age_push_back(order_table_t *t, order_list_t *list, uint32_t row)
{
    order_t *o                                                                    = row_at(t, row);
    o->age_next                                                                   = ORDER_NONE;
    o->age_prev                                                                   = list->last;
    *(list->last == ORDER_NONE ? &list->first : &row_at(t, list->last)->age_next) = row;
    list->last                                                                    = row;
}

/* Out of the list of open orders; walks that stand there go on. */
void order_age_leave_open(order_table_t *t, uint32_t row)
{
    order_t *o = row_at(t, row);
    for (uint32_t i = 0; i < ORDER_WALKS_MAX; i++) {
        t->walks[i] = t->walks[i] == row ? o->age_next : t->walks[i];
    }
    order_age_unlink(t, &t->open, o);
    t->open_count--;
}

void order_walk_begin(order_table_t *t, uint32_t walk)
{
    assert(walk < ORDER_WALKS_MAX);
    t->walks[walk] = t->open.first;
}

uint32_t order_walk(order_table_t *t, uint32_t walk)
{
    const uint32_t row = t->walks[walk];
    if (row != ORDER_NONE) {
        t->walks[walk] = row_at(t, row)->age_next;
    }
    return row;
}

int64_t order_answer_ns(const order_table_t *t)
{
    return t->cfg.answer_ns;
}

/* Sides: a treap. Left is better (more eager, then older); a parent's priority is at least its children's. Priorities are
 * hashed from ids, so the shape follows from the orders alone and the depth does not depend on how prices came. */
static uint64_t side_priority(const order_t *o)
{
    uint64_t x = o->cl_ord_id * 0xbf58476d1ce4e5b9ULL;
    x          = (x ^ x >> 29) * 0x94d049bb133111ebULL;
    return x ^ x >> 32;
}

static uint32_t *side_place(const order_table_t *t, order_side_t *side, uint32_t row) /* of the link that names it */
{
    const order_t *o = row_at(t, row);
    if (o->side_up == ORDER_NONE) {
        return &side->root;
    }
    order_t *up = row_at(t, o->side_up);
    return up->side_left == row ? &up->side_left : &up->side_right;
}

static void side_rotate_up(order_table_t *t, order_side_t *side, uint32_t row)
{
    order_t       *o     = row_at(t, row);
    const uint32_t above = o->side_up;
    order_t       *up    = row_at(t, above);
    uint32_t      *place = side_place(t, side, above);
    uint32_t       moved; /* the subtree between the two */
    if (up->side_left == row) {
        moved         = o->side_right;
        up->side_left = moved;
        o->side_right = above;
    } else {
        moved          = o->side_left;
        up->side_right = moved;
        o->side_left   = above;
    }
    if (moved != ORDER_NONE) {
        row_at(t, moved)->side_up = above;
    }
    o->side_up  = up->side_up;
    up->side_up = row;
    *place      = row;
}

static uint32_t side_successor(const order_table_t *t, uint32_t row)
{
    uint32_t at = row_at(t, row)->side_right;
    if (at != ORDER_NONE) {
        while (row_at(t, at)->side_left != ORDER_NONE) {
            at = row_at(t, at)->side_left;
        }
        return at;
    }
    for (at = row_at(t, row)->side_up; at != ORDER_NONE && row_at(t, at)->side_right == row;
         at = row_at(t, at)->side_up) {
        row = at;
    }
    return at;
}

void order_side_unlink(order_table_t *t, uint32_t row)
{
    order_t      *o    = row_at(t, row);
    order_side_t *side = side_head(t, o->instrument_id, o->side);
    if (side->first == row) {
        side->first = side_successor(t, row);
    }
    while (o->side_left != ORDER_NONE && o->side_right != ORDER_NONE) {
        const bool left = side_priority(row_at(t, o->side_left)) > side_priority(row_at(t, o->side_right));
        side_rotate_up(t, side, left ? o->side_left : o->side_right);
    }
    const uint32_t child      = o->side_left != ORDER_NONE ? o->side_left : o->side_right;
    *side_place(t, side, row) = child;
    if (child != ORDER_NONE) {
        row_at(t, child)->side_up = o->side_up;
    }
}

void order_side_link(order_table_t *t, uint32_t row)
{
    order_t       *o     = row_at(t, row);
    const int64_t  px    = order_eager_px(o);
    const uint64_t mine  = side_priority(o);
    order_side_t  *side  = side_head(t, o->instrument_id, o->side);
    uint32_t      *place = &side->root;
    bool           first = true;
    o->side_left = o->side_right = o->side_up = ORDER_NONE;
    while (*place != ORDER_NONE) {
        order_t      *other    = row_at(t, *place);
        const int64_t other_px = order_eager_px(other);
        const bool    better   = o->side == SIDE_BUY ? px > other_px : px < other_px;
        o->side_up             = *place;
        first                  = first && better;
        place                  = better ? &other->side_left : &other->side_right;
    }
    *place = row;
    if (first) {
        side->first = row;
    }
    while (o->side_up != ORDER_NONE && side_priority(row_at(t, o->side_up)) < mine) {
        side_rotate_up(t, side, row);
    }
}

/* Waits: a list in the order of the times at which silence began. */
static void wait_unlink(order_table_t *t, uint32_t row)
{
    order_wait_t *w                                                           = wait_at(t, row);
    *(w->prev == ORDER_NONE ? &t->waiting.first : &wait_at(t, w->prev)->next) = w->next;
    *(w->next == ORDER_NONE ? &t->waiting.last : &wait_at(t, w->next)->prev)  = w->prev;
    w->since_ns                                                               = NOT_LISTED;
}

static void wait_push_back(order_table_t *t, uint32_t row)
{
    order_wait_t *w = wait_at(t, row);
    *w              = (order_wait_t){.prev = t->waiting.last, .next = ORDER_NONE, .since_ns = t->mono_ns};
    *(t->waiting.last == ORDER_NONE ? &t->waiting.first : &wait_at(t, t->waiting.last)->next) = row;
    t->waiting.last                                                                           = row;
}

static bool waits_for_answer(const order_t *o)
{
    return o->closed_as == 0 && (!(o->flags & ORDER_ACKED) || o->replaces != 0 ||
                                 (o->flags & (ORDER_PENDING_CANCEL | ORDER_UNKNOWN | ORDER_ASKED)) != 0);
}

/* After any change; anew: silence begins now, also for one that waited before. */
void order_wait_settle(order_table_t *t, uint32_t row, bool anew)
{
    const bool waits  = t->cfg.answer_ns != 0 && waits_for_answer(row_at(t, row));
    const bool listed = wait_at(t, row)->since_ns != NOT_LISTED;
    assert(!listed || anew || waits); /* only the venue's word ends a wait */
    if (listed && anew) {
        wait_unlink(t, row);
    }
    if (waits && (anew || !listed)) {
        wait_push_back(t, row);
    }
}

uint32_t order_overdue(order_table_t *t, now_t now, int64_t *waited_ns)
{
    const uint32_t row = t->waiting.first;
    t->mono_ns         = max_i64(t->mono_ns, now.mono_ns);
    if (row == ORDER_NONE || t->mono_ns - wait_at(t, row)->since_ns <= t->cfg.answer_ns) {
        return ORDER_NONE;
    }
    *waited_ns = t->mono_ns - wait_at(t, row)->since_ns;
    wait_unlink(t, row);
    return row;
}

uint32_t order_first(const order_table_t *t)
{
    return t->open.first;
}

uint32_t order_next(const order_table_t *t, uint32_t row)
{
    return row_at(t, row)->age_next;
}

uint32_t order_side_first(const order_table_t *t, uint32_t instrument_id, side_t side)
{
    return side_head(t, instrument_id, side)->first;
}

uint32_t order_side_next(const order_table_t *t, uint32_t row)
{
    return side_successor(t, row);
}

uint32_t order_open_count(const order_table_t *t)
{
    return t->open_count;
}

uint32_t order_rows(const order_table_t *t)
{
    return t->rows_used;
}

bool order_waits(const order_t *o)
{
    return order_is_open(o) && (o->flags & (ORDER_UNKNOWN | ORDER_ASK | ORDER_ASKED)) != 0;
}

bool order_room(const order_table_t *t)
{
    return t->rows_used < t->cfg.orders_max || t->closed.first != ORDER_NONE;
}
