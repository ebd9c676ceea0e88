//! What the operating system says of a process.

use crate::Result;
use std::{fs, time::Duration};

/// Ticks of `/proc/<pid>/stat` in a second: what Linux shows to programs on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time that a process has used so far, in user and kernel mode, over all threads.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, which may contain anything, stands in brackets.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS_PER_SECOND))
}

/// Bytes of a process that are in memory now.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| format!("/proc/{pid}/status has no VmRSS").into())
}
