/** Versions of what supervisor, gateways and egress process say to each other; the processes that only talk don't load what checks. */
export const PROTOCOL_VERSION = 1;
export const EGRESS_PROTOCOL_VERSION = 1;
