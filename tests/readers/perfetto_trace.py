"""Reads a trace with the published schema of Perfetto and prints, as JSON, the
samples of each function (at the leaf, anywhere), and what else is in it.

Fails on a field that the schema does not have, on a reference to what was not
interned before, and on slices that do not nest."""

import collections
import json
import sys

from google.protobuf import unknown_fields
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema


def known(message):
    fields = unknown_fields.UnknownFieldSet(message)
    assert len(fields) == 0, f"{type(message).__name__} has unknown fields"
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                known(one)


trace = schema.Trace()
trace.ParseFromString(open(sys.argv[1], "rb").read())
known(trace)

functions = collections.defaultdict(lambda: [0, 0])
sequences = {}
slices = collections.defaultdict(list)
found = {"processes": set(), "execs": [], "callers": 0, "losses": [], "periods": {}}
names = {}
for packet in trace.packet:
    at = packet.trusted_packet_sequence_id
    if packet.sequence_flags & 1:
        sequences[at] = collections.defaultdict(dict)
    seen = sequences[at]
    data = packet.interned_data
    for kind in ["function_names", "frames", "callstacks", "mappings", "mapping_paths", "build_ids"]:
        for one in getattr(data, kind):
            assert one.iid not in seen[kind], f"{kind} {one.iid} is interned twice"
            seen[kind][one.iid] = one
    defaults = packet.trace_packet_defaults.perf_sample_defaults.timebase
    if defaults.name:
        seen["event"] = defaults.name
        found["periods"][defaults.name] = defaults.period

    def path(iid):
        frames = [seen["frames"][f] for f in seen["callstacks"][iid].frame_ids]
        for frame in frames:
            mapping = seen["mappings"][frame.mapping_id]
            assert all(p in seen["mapping_paths"] for p in mapping.path_string_ids)
        return [seen["function_names"][f.function_name_id].str.decode() for f in frames]

    if packet.HasField("perf_sample") and seen["event"] == "cpu-clock":
        stack = path(packet.perf_sample.callstack_iid) if packet.perf_sample.callstack_iid else []
        for function in set(stack):
            functions[function][1] += 1
        if stack:
            functions[stack[-1]][0] += 1
    for process in packet.process_tree.processes:
        found["processes"].add((process.pid, process.process_start_from_boot))
    if packet.HasField("track_descriptor"):
        names[packet.track_descriptor.uuid] = packet.track_descriptor
    event = packet.track_event
    if event.type == schema.TrackEvent.TYPE_COUNTER and event.counter_value:
        found["losses"].append([names[event.track_uuid].name, event.counter_value])
    if event.type in (schema.TrackEvent.TYPE_SLICE_BEGIN, schema.TrackEvent.TYPE_SLICE_END):
        assert event.track_uuid in names
        begins = event.type == schema.TrackEvent.TYPE_SLICE_BEGIN
        slices[event.track_uuid].append((packet.timestamp, begins))
        if "exec" in event.categories:
            about = {a.name: a.string_value for a in event.debug_annotations}
            found["execs"].append([event.name, about.get("cmdline")])
            if event.callstack_iid:
                assert path(event.callstack_iid)
                found["callers"] += 1

for track in slices.values():
    depth = 0
    for _, begins in sorted(track, key=lambda event: event[0]):
        depth += 1 if begins else -1
        assert depth >= 0, "a slice ends that did not begin"
    assert depth == 0, "a slice does not end"

found["processes"] = len(found["processes"])
found["execs"].sort()
print(json.dumps({"functions": functions, **found}))
