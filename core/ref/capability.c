#include "core/ref/capability.h"

#define BIT(n) (1ull << (n))
#define TYPES_NATIVE (BIT(ORD_TYPE_LIMIT) | BIT(ORD_TYPE_STOP_LIMIT) | BIT(ORD_TYPE_LIMIT_IF_TOUCHED))
#define TYPES_KNOWN ((BIT(ORD_TYPE_COUNT) - 1) & ~1ull)
#define TIFS_KNOWN                                                                                                     \
    (BIT(TIF_DAY) | BIT(TIF_GTC) | BIT(TIF_OPG) | BIT(TIF_IOC) | BIT(TIF_FOK) | BIT(TIF_GTD) | BIT(TIF_ATC))
#define FEATURES_KNOWN (2 * VENUE_CANCEL_ON_DISCONNECT - 1u)

const venue_def_t capability_default = {.ord_types = BIT(ORD_TYPE_LIMIT),
                                        .tifs      = BIT(TIF_DAY) | BIT(TIF_GTC) | BIT(TIF_IOC) | BIT(TIF_FOK),
                                        .features  = VENUE_REPLACE | VENUE_POST_ONLY | VENUE_REDUCE_ONLY};

static const venue_def_t *or_default(const venue_def_t *def)
{
    return def ? def : &capability_default;
}

err_t capability_check(const venue_def_t *def)
{
    if ((def->ord_types & ~TYPES_KNOWN) != 0 || (def->tifs & ~TIFS_KNOWN) != 0 ||
        (def->features & ~FEATURES_KNOWN) != 0 || def->reserved != 0 || def->reserved2 != 0) {
        return err_set(ERR_ARG, "venue %u: order types %#llx, times in force %#x or features %#x have bits of nothing",
                       def->venue_id, (unsigned long long)def->ord_types, def->tifs, def->features);
    }
    if (!(def->ord_types & BIT(ORD_TYPE_LIMIT)) || !(def->tifs & (BIT(TIF_DAY) | BIT(TIF_GTC)))) {
        return err_set(ERR_ARG, "venue %u: order types %#llx without LIMIT, or times in force %#x without DAY and GTC",
                       def->venue_id, (unsigned long long)def->ord_types, def->tifs);
    }
    return ERR_OK;
}

bool capability_tif(const venue_def_t *def, tif_t tif)
{
    return tif < TIF_COUNT && (or_default(def)->tifs >> tif & 1) != 0;
}

bool capability_offers(const venue_def_t *def, uint32_t features)
{
    return (or_default(def)->features & features) == features;
}

bool capability_native(const venue_def_t *def, const order_terms_req_t *req)
{
    return req->ord_type < ORD_TYPE_COUNT && (or_default(def)->ord_types & TYPES_NATIVE) >> req->ord_type & 1 &&
           capability_tif(def, (tif_t)req->tif) && req->list_id == 0 && req->contingency == CONTINGENCY_NONE &&
           req->algo == ALGO_NONE && (req->display_qty == 0 || capability_offers(def, VENUE_ICEBERG));
}

/* ---- the table --------------------------------------------------------------------------------------------------- */
typedef enum line_kind { LINE_TYPE, LINE_TIF, LINE_FEATURE, LINE_ENGINE } line_kind_t;

typedef struct line {
    const char *group, *name, *note;
    line_kind_t kind;
    uint32_t    arg;
} line_t;

static const line_t lines[] = {
    {"type", "MARKET", "a limit at the collar, IOC", LINE_TYPE, ORD_TYPE_MARKET},
    {"type", "LIMIT", "", LINE_TYPE, ORD_TYPE_LIMIT},
    {"type", "STOP", "watched; a market order when reached", LINE_TYPE, ORD_TYPE_STOP},
    {"type", "STOP_LIMIT", "watched; a limit order when reached", LINE_TYPE, ORD_TYPE_STOP_LIMIT},
    {"type", "TRAILING_STOP", "follows the market; a market order when reached", LINE_TYPE, ORD_TYPE_TRAILING_STOP},
    {"type", "TRAILING_STOP_LIMIT", "follows the market; a limit order when reached", LINE_TYPE,
     ORD_TYPE_TRAILING_STOP_LIMIT},
    {"type", "MARKET_TO_LIMIT", "a market order; its rest a limit at the price of its fills", LINE_TYPE,
     ORD_TYPE_MARKET_TO_LIMIT},
    {"type", "MARKET_IF_TOUCHED", "watched; a market order when touched", LINE_TYPE, ORD_TYPE_MARKET_IF_TOUCHED},
    {"type", "LIMIT_IF_TOUCHED", "watched; a limit order when touched", LINE_TYPE, ORD_TYPE_LIMIT_IF_TOUCHED},
    {"tif", "DAY", "cancelled at the end of the day", LINE_TIF, TIF_DAY},
    {"tif", "GTC", "", LINE_TIF, TIF_GTC},
    {"tif", "OPG", "held until the auction", LINE_TIF, TIF_OPG},
    {"tif", "IOC", "", LINE_TIF, TIF_IOC},
    {"tif", "FOK", "", LINE_TIF, TIF_FOK},
    {"tif", "GTD", "cancelled at its time", LINE_TIF, TIF_GTD},
    {"tif", "ATC", "held until the auction", LINE_TIF, TIF_ATC},
    {"feature", "REPLACE", "cancel, then a new order for the rest", LINE_FEATURE, VENUE_REPLACE},
    {"feature", "MASS_CANCEL", "one by one, newest first", LINE_FEATURE, VENUE_MASS_CANCEL},
    {"feature", "POST_ONLY", "", LINE_FEATURE, VENUE_POST_ONLY},
    {"feature", "REDUCE_ONLY", "judged by our position when it leaves", LINE_FEATURE, VENUE_REDUCE_ONLY},
    {"feature", "ICEBERG", "a slice at a time", LINE_FEATURE, VENUE_ICEBERG},
    {"feature", "STP", "our own orders are looked at first", LINE_FEATURE, VENUE_STP},
    {"feature", "CANCEL_ON_DISCONNECT", "the adapter cancels when the engine is silent", LINE_FEATURE,
     VENUE_CANCEL_ON_DISCONNECT},
    {"list", "OCO", "one cancels the others", LINE_ENGINE, 0},
    {"list", "OTO", "fills of the first set the others free", LINE_ENGINE, 0},
    {"list", "OUO", "fills come off the others", LINE_ENGINE, 0},
    {"algo", "TWAP", "even slices over time", LINE_ENGINE, 0},
    {"algo", "VWAP", "slices by the volume of the day", LINE_ENGINE, 0},
    {"algo", "ICEBERG", "a slice at a time", LINE_ENGINE, 0},
};

static capability_how_t how_of(const venue_def_t *def, const line_t *line)
{
    order_terms_req_t req = {.ord_type = ORD_TYPE_LIMIT};
    bool              native;
    switch (line->kind) {
    case LINE_TYPE:
        req.ord_type = (uint8_t)line->arg;
        req.tif      = capability_tif(def, TIF_GTC) ? TIF_GTC : TIF_DAY;
        native       = capability_native(def, &req);
        break;
    case LINE_TIF:
        req.tif = (uint8_t)line->arg;
        native  = capability_native(def, &req);
        break;
    case LINE_FEATURE: native = capability_offers(def, line->arg); break;
    default: native = false; break;
    }
    if (native) {
        return CAPABILITY_NATIVE;
    }
    return line->note[0] ? CAPABILITY_ENGINE : CAPABILITY_NONE; /* what nobody can do instead has no words on how */
}

bool capability_row(const venue_def_t *def, uint32_t i, capability_row_t *out)
{
    if (i >= sizeof lines / sizeof lines[0]) {
        return false;
    }
    const line_t *line = &lines[i];
    *out               = (capability_row_t){.group = line->group, .name = line->name, .how = how_of(def, line)};
    out->note          = out->how == CAPABILITY_ENGINE ? line->note : "";
    return true;
}

const char *capability_how_str(capability_how_t how)
{
    return how == CAPABILITY_NATIVE ? "native" : how == CAPABILITY_ENGINE ? "engine" : "-";
}
