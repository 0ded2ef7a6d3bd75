/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_SCRAPE_H
#define CASSATA_SERVICE_SCRAPE_H

#include "proc/child.h"

/*
 * The child that answers for the metrics of its daemon, on an address of its
 * own (master.metrics): so a worker alone can be scraped. It has no datastore,
 * takes one small request per connection, and a few at a time. Returns its exit
 * code.
 */
int scrape_main(struct child *child);

#endif
