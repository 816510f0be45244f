complete -c whence-record -s o -l output -d 'Directory to write, which must not exist [default: HOST-YYYYMMDDTHHMMSSZ.whence]' -r -F
complete -c whence-record -s d -l duration -d 'Stop after this long, as in 30s, 10m, 2h [default: until interrupted]' -r
complete -c whence-record -l sample -d 'CPU stacks per CPU and second; 0 for none' -r
complete -c whence-record -s s -l stack -d 'Take a stack at each hit of PROBE: tracepoint:CATEGORY:NAME, where * stands for any text' -r
complete -c whence-record -l unwind -d 'How call paths of user code are found' -r -f -a "auto\t'By unwind tables as far as a budget allows, else by frame pointers'
fp\t'By frame pointers'
dwarf\t'By unwind tables'"
complete -c whence-record -l env -d 'Keep these environment variables of each exec' -r
complete -c whence-record -l segment -d 'How often files are completed: the most that a crash can lose' -r
complete -c whence-record -l flight-recorder -d 'Keep only the newest time, or size, or both, as in 10m,1GB: a flight recorder. It goes on in the same directory when it is started again' -r
complete -c whence-record -l trigger -d 'Keep what the flight recorder has, beside its directory, when this happens: exec:PATTERN (command line), exit:NAME[:STATUS], probe:EVENT; * stands for any text; may be repeated. SIGUSR1 does the same' -r
complete -c whence-record -l snapshot-of -d 'Make a recording of what the flight recorder in DIR has, and end' -r -F
complete -c whence-record -l format -d 'How --doctor answers' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c whence-record -l max-size -d 'Most that the recording may take on disk, such as 500MB: stacks stop when four fifths are used, and the recording ends when all is [default: no limit]' -r
complete -c whence-record -l keep-free -d 'Room on the disk that is left to others: stacks stop before it is touched, and the recording ends before half of it is; at most a twentieth of the disk' -r
complete -c whence-record -l max-memory -d 'Most memory that the recorder may take, the rings included, each of which counts double [default: 128MB, or more with a larger --ring]' -r
complete -c whence-record -l ring -d 'Size of each ring between kernel and recorder, in KiB, a power of two' -r
complete -c whence-record -l pid -d 'Record only this process and its descendants; may be repeated' -r
complete -c whence-record -l uid -d 'Record only processes of this user' -r
complete -c whence-record -l comm -d 'Record only processes of this name, as the kernel keeps it (15 bytes)' -r
complete -c whence-record -l cgroup -d 'Record only processes of this cgroup and those below it' -r -F
complete -c whence-record -l print -d 'Print events as they come, as `whence replay` would'
complete -c whence-record -l fail-on-loss -d 'Exit with 3 if anything was lost'
complete -c whence-record -l include-self -d 'Take stacks of the recorder itself too'
complete -c whence-record -l doctor -d 'Say what can be recorded on this host, what not, and what would enable it'
complete -c whence-record -l system-wide -d 'With COMMAND: record the whole host, not only what descends from it'
complete -c whence-record -s h -l help -d 'Print help (see more with \'--help\')'
complete -c whence-record -s V -l version -d 'Print version'
