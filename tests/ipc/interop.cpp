// The official C++ library on what we wrote: FILE.bin... named Table.N.bin; verify each, read its body, print a line.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "hwal_generated.h"

template <class Table> static bool check(const std::string &bytes)
{
    // The verifier wants an aligned start, as a ring slot has.
    std::vector<uint64_t> words((bytes.size() + 7) / 8);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    const auto           *at = reinterpret_cast<const uint8_t *>(words.data());
    flatbuffers::Verifier verifier(at, bytes.size());
    return verifier.VerifyBuffer<Table>(nullptr) && flatbuffers::GetRoot<Table>(at)->body() != nullptr;
}

static bool check_record(const std::string &bytes)
{
    std::vector<uint64_t> words((bytes.size() + 7) / 8);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    const auto           *at = reinterpret_cast<const uint8_t *>(words.data());
    flatbuffers::Verifier verifier(at, bytes.size());
    return hwal::VerifyRecordBuffer(verifier) && hwal::GetRecord(at)->msg() != nullptr;
}

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        bool (*check)(const std::string &);
    } tables[]  = {{"InstrumentDefMsg", check<hwal::InstrumentDefMsg>},
                   {"BookUpdateMsg", check<hwal::BookUpdateMsg>},
                   {"TradeMsg", check<hwal::TradeMsg>},
                   {"TopMsg", check<hwal::TopMsg>},
                   {"OrderRequestMsg", check<hwal::OrderRequestMsg>},
                   {"ExecReportMsg", check<hwal::ExecReportMsg>},
                   {"VerdictMsg", check<hwal::VerdictMsg>},
                   {"PositionMsg", check<hwal::PositionMsg>},
                   {"TickMsg", check<hwal::TickMsg>},
                   {"FeedStateMsg", check<hwal::FeedStateMsg>},
                   {"ControlMsg", check<hwal::ControlMsg>},
                   {"AlarmMsg", check<hwal::AlarmMsg>},
                   {"BootMsg", check<hwal::BootMsg>},
                   {"AccountDefMsg", check<hwal::AccountDefMsg>},
                   {"LimitSetMsg", check<hwal::LimitSetMsg>},
                   {"OrderStatusRequestMsg", check<hwal::OrderStatusRequestMsg>},
                   {"MassStatusRequestMsg", check<hwal::MassStatusRequestMsg>},
                   {"MassStatusMsg", check<hwal::MassStatusMsg>},
                   {"SnapshotRequestMsg", check<hwal::SnapshotRequestMsg>},
                   {"OrderMsg", check<hwal::OrderMsg>},
                   {"AccountMsg", check<hwal::AccountMsg>},
                   {"LogMsg", check<hwal::LogMsg>},
                   {"LaneMsg", check<hwal::LaneMsg>},
                   {"RiskCheckRequestMsg", check<hwal::RiskCheckRequestMsg>},
                   {"RiskCheckResponseMsg", check<hwal::RiskCheckResponseMsg>},
                   {"MboUpdateMsg", check<hwal::MboUpdateMsg>},
                   {"StatisticsMsg", check<hwal::StatisticsMsg>},
                   {"OrderTermsRequestMsg", check<hwal::OrderTermsRequestMsg>},
                   {"HeldOrderMsg", check<hwal::HeldOrderMsg>},
                   {"MassCancelMsg", check<hwal::MassCancelMsg>},
                   {"VenueDefMsg", check<hwal::VenueDefMsg>},
                   {"VenueBudgetMsg", check<hwal::VenueBudgetMsg>},
                   {"FxRateMsg", check<hwal::FxRateMsg>},
                   {"CashMoveMsg", check<hwal::CashMoveMsg>},
                   {"MiscFeeMsg", check<hwal::MiscFeeMsg>},
                   {"FeeScheduleMsg", check<hwal::FeeScheduleMsg>},
                   {"BalanceMsg", check<hwal::BalanceMsg>},
                   {"SubPositionMsg", check<hwal::SubPositionMsg>},
                   {"LimitChangeMsg", check<hwal::LimitChangeMsg>},
                   {"AuditMsg", check<hwal::AuditMsg>},
                   {"AlertMsg", check<hwal::AlertMsg>},
                   {"OperateMsg", check<hwal::OperateMsg>},
                   {"SizeRequestMsg", check<hwal::SizeRequestMsg>},
                   {"SizeResponseMsg", check<hwal::SizeResponseMsg>},
                   {"Record", check_record}};
    int checked = 0;
    for (int i = 1; i < argc; i++) {
        const std::string path(argv[i]);
        const std::string file = path.substr(path.rfind('/') + 1);
        std::ifstream     in(path, std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
        bool              ok = false;
        for (const auto &table : tables) {
            if (file.substr(0, file.find('.')) == table.name) {
                ok = table.check(bytes);
            }
        }
        if (!ok) {
            std::fprintf(stderr, "%s: refused by the C++ library\n", argv[i]);
            return 1;
        }
        checked++;
    }
    std::printf("%d buffers verified and read by the C++ library\n", checked);
    return 0;
}
