//! A sequence of packets with the call paths that it has named so far. Each
//! path, frame and name is written once, with the first packet that needs it.

use std::collections::HashMap;

use prost::Message as _;

use super::proto::{Callstack, Frame, InternedData, InternedString, Mapping, TracePacket};
use crate::Result;
use crate::export::frames::{Frames, Text};
use crate::export::{Out, failed};

/// The first packet of a sequence says that nothing is known before it, the
/// others that they build on it.
const CLEARED: u32 = 1;
const BUILDS_ON: u32 = 2;
/// Field of a packet in a trace.
const PACKET: u32 = 1;

pub(super) struct Sequence<'a> {
    id: u32,
    begun: bool,
    frames: &'a Frames,
    stacks: HashMap<(Option<i64>, Option<i64>), u64>,
    /// Ids of the lines of each frame.
    lines: HashMap<u32, Vec<u64>>,
    next_line: u64,
    functions: HashMap<Text, u64>,
    sources: HashMap<Text, u64>,
    mappings: HashMap<(Option<Text>, Option<Text>), u64>,
    fresh: InternedData,
}

impl<'a> Sequence<'a> {
    pub(super) fn new(id: u32, frames: &'a Frames) -> Self {
        Self {
            id,
            begun: false,
            frames,
            stacks: HashMap::new(),
            lines: HashMap::new(),
            next_line: 1,
            functions: HashMap::new(),
            sources: HashMap::new(),
            mappings: HashMap::new(),
            fresh: InternedData::default(),
        }
    }

    /// Writes a packet, and with it what it refers to and was not written yet.
    pub(super) fn write(&mut self, out: Out<'_>, mut packet: TracePacket) -> Result<()> {
        packet.trusted_packet_sequence_id = Some(self.id);
        packet.sequence_flags = Some(if self.begun { BUILDS_ON } else { CLEARED });
        self.begun = true;
        if self.fresh != InternedData::default() {
            packet.interned_data = Some(std::mem::take(&mut self.fresh));
        }
        let mut bytes = Vec::with_capacity(packet.encoded_len() + 8);
        let wire_type = prost::encoding::WireType::LengthDelimited;
        prost::encoding::encode_key(PACKET, wire_type, &mut bytes);
        prost::encoding::encode_varint(packet.encoded_len() as u64, &mut bytes);
        packet.encode_raw(&mut bytes);
        out.write_all(&bytes).map_err(failed)
    }

    /// Id of a call path; `None` for one without frames.
    pub(super) fn stack(&mut self, user: Option<i64>, kernel: Option<i64>) -> Option<u64> {
        if user.is_none() && kernel.is_none() {
            return None;
        }
        if let Some(known) = self.stacks.get(&(user, kernel)) {
            return Some(*known);
        }
        let mut frame_ids = Vec::new();
        for frame in self.frames.path(user, kernel) {
            frame_ids.extend(self.lines(frame));
        }
        let iid = self.stacks.len() as u64 + 1;
        self.fresh.callstacks.push(Callstack {
            iid: Some(iid),
            frame_ids,
        });
        self.stacks.insert((user, kernel), iid);
        Some(iid)
    }

    /// Ids of the functions at a place, the outermost first.
    fn lines(&mut self, number: u32) -> Vec<u64> {
        if let Some(known) = self.lines.get(&number) {
            return known.clone();
        }
        let frame = self.frames.frame(number);
        let mapping = self.mapping(frame.module, frame.build_id);
        let mut ids = Vec::with_capacity(frame.lines.len());
        for line in &frame.lines {
            let function = self.function(line.function);
            let source = line.file.map(|file| self.source(file));
            let iid = self.next_line;
            self.next_line += 1;
            self.fresh.frames.push(Frame {
                iid: Some(iid),
                function_name_id: Some(function),
                mapping_id: Some(mapping),
                rel_pc: Some(frame.offset),
                source_path_iid: source,
                line_number: (line.line > 0).then_some(line.line),
            });
            ids.push(iid);
        }
        self.lines.insert(number, ids.clone());
        ids
    }

    fn function(&mut self, name: Text) -> u64 {
        let next = self.functions.len() as u64 + 1;
        let iid = *self.functions.entry(name).or_insert(next);
        if iid == next {
            let name = interned(iid, self.frames.text(name).as_bytes());
            self.fresh.function_names.push(name);
        }
        iid
    }

    fn source(&mut self, file: Text) -> u64 {
        let next = self.sources.len() as u64 + 1;
        let iid = *self.sources.entry(file).or_insert(next);
        if iid == next {
            let file = interned(iid, self.frames.text(file).as_bytes());
            self.fresh.source_paths.push(file);
        }
        iid
    }

    /// Each frame has a mapping; code in no known module that of no name.
    fn mapping(&mut self, module: Option<Text>, build_id: Option<Text>) -> u64 {
        let next = self.mappings.len() as u64 + 1;
        let iid = *self.mappings.entry((module, build_id)).or_insert(next);
        if iid != next {
            return iid;
        }
        let path = module.map_or("[unknown]", |module| self.frames.text(module));
        // Ids of strings of one kind are in a space of their own.
        let path = interned(iid, path.as_bytes());
        self.fresh.mapping_paths.push(path);
        if let Some(build_id) = build_id {
            let build_id = raw(self.frames.text(build_id));
            self.fresh.build_ids.push(interned(iid, &build_id));
        }
        self.fresh.mappings.push(Mapping {
            iid: Some(iid),
            build_id: build_id.map(|_| iid),
            end: Some(u64::MAX),
            path_string_ids: vec![iid],
        });
        iid
    }
}

fn interned(iid: u64, text: &[u8]) -> InternedString {
    InternedString {
        iid: Some(iid),
        str: Some(text.to_vec()),
    }
}

/// A build-id as bytes; the text itself if it is not made of hexadecimal
/// digits.
fn raw(build_id: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|d| d as u8);
    let pairs = build_id.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect();
    bytes.unwrap_or_else(|| build_id.as_bytes().to_vec())
}
