#include <string.h>

#include "adapters/venue.h"

/* The one table of venues: this is the only file outside a venue's folder that knows a venue's name. */
extern const venue_codec_t binance_codec;

static const venue_codec_t *const codecs[] = {&binance_codec};

const venue_codec_t *venue_codec_find(const char *name)
{
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (strcmp(codecs[i]->name, name) == 0) {
            return codecs[i];
        }
    }
    return NULL;
}
