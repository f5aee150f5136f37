#include "core/risk/risk_code.h"

const char *risk_code_str(uint32_t code)
{
    switch (code) {
#define RISK_CODE_STR(code, name, unit)                                                                                \
    case (code): return #name;
        RISK_CODES(RISK_CODE_STR)
#undef RISK_CODE_STR
    default: return "?";
    }
}

const char *risk_code_unit(uint32_t code)
{
    switch (code) {
#define RISK_CODE_UNIT(code, name, unit)                                                                               \
    case (code): return unit;
        RISK_CODES(RISK_CODE_UNIT)
#undef RISK_CODE_UNIT
    default: return "";
    }
}
