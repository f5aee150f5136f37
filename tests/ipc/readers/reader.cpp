// A captured ring (hwal tail --raw) by the official C++ library and flatc's C++ code: reader FILE: each record verified, then
// one JSON object a line, as the library's reflection prints it. Exit 1 at the first one that is refused.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "flatbuffers/minireflect.h"
#include "hwal_generated.h"

int main(int argc, char **argv)
{
    std::ifstream         in(argc == 2 ? argv[1] : "", std::ios::binary);
    const std::string     bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    std::vector<uint64_t> words((bytes.size() + 7) / 8); // the verifier wants an aligned start
    std::memcpy(words.data(), bytes.data(), bytes.size());
    const auto *at = reinterpret_cast<const uint8_t *>(words.data());
    for (size_t i = 0; i < bytes.size();) {
        const size_t          left = bytes.size() - i;
        const size_t          len  = left < 8 ? left : flatbuffers::GetPrefixedSize(at + i) + 4ul;
        flatbuffers::Verifier verifier(at + i, len);
        if (i % 8 != 0 || len > left || !hwal::VerifySizePrefixedRecordBuffer(verifier)) {
            std::fprintf(stderr, "%s: byte %zu: refused by the C++ library\n", argv[1], i);
            return 1;
        }
        const hwal::Record *record = hwal::GetSizePrefixedRecord(at + i);
        if (record->msg_type() > hwal::Message_MAX) { // a newer writer's: the reflection cannot print it
            std::printf("{\"sequence\": %llu, \"msg_type\": %d}\n", static_cast<unsigned long long>(record->sequence()),
                        record->msg_type());
        } else {
            flatbuffers::ToStringVisitor text(" ", true, "", false);
            flatbuffers::IterateFlatBuffer(at + i + 4, hwal::RecordTypeTable(), &text);
            std::printf("%s\n", text.s.c_str());
        }
        i += len;
    }
    return 0;
}
