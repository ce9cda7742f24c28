#pragma once
// Anomalies in words: the popular name, and a sentence for each edge of the cycle.
//
//   put_into_words(history, order, anomaly);     // fills popular_name and text from kind, needs, transactions and cycle
//
//   G2-item (write skew)
//     T1 (client 2): read x nil, read y nil, write y 2
//     T2 (client 1): read x nil, read y nil, write x 1
//     T1 read x without 1, which T2 wrote: T1 came before T2 (rw)
//     T2 read y without 2, which T1 wrote: T2 came before T1 (rw)
//
// Functions of their arguments: any thread.

#include "model/isolation.h"

namespace touchstone::model {

void put_into_words(const TransactionHistory& history, const TransactionOrder& order, Anomaly& anomaly);
void put_into_words(const TransactionHistory& history, const DirectFinding& finding, Anomaly& anomaly);

}  // namespace touchstone::model
