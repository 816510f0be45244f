
use builtin;
use str;

set edit:completion:arg-completer[whence-record] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'whence-record'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'whence-record'= {
            cand -o 'Directory to write, which must not exist [default: HOST-YYYYMMDDTHHMMSSZ.whence]'
            cand --output 'Directory to write, which must not exist [default: HOST-YYYYMMDDTHHMMSSZ.whence]'
            cand -d 'Stop after this long, as in 30s, 10m, 2h [default: until interrupted]'
            cand --duration 'Stop after this long, as in 30s, 10m, 2h [default: until interrupted]'
            cand --sample 'CPU stacks per CPU and second; 0 for none'
            cand -s 'Take a stack at each hit of PROBE: tracepoint:CATEGORY:NAME, where * stands for any text'
            cand --stack 'Take a stack at each hit of PROBE: tracepoint:CATEGORY:NAME, where * stands for any text'
            cand --unwind 'How call paths of user code are found'
            cand --env 'Keep these environment variables of each exec'
            cand --segment 'How often files are completed: the most that a crash can lose'
            cand --flight-recorder 'Keep only the newest time, or size, or both, as in 10m,1GB: a flight recorder. It goes on in the same directory when it is started again'
            cand --trigger 'Keep what the flight recorder has, beside its directory, when this happens: exec:PATTERN (command line), exit:NAME[:STATUS], probe:EVENT; * stands for any text; may be repeated. SIGUSR1 does the same'
            cand --snapshot-of 'Make a recording of what the flight recorder in DIR has, and end'
            cand --format 'How --doctor answers'
            cand --max-size 'Most that the recording may take on disk, such as 500MB: stacks stop when four fifths are used, and the recording ends when all is [default: no limit]'
            cand --keep-free 'Room on the disk that is left to others: stacks stop before it is touched, and the recording ends before half of it is; at most a twentieth of the disk'
            cand --max-memory 'Most memory that the recorder may take, the rings included, each of which counts double [default: 128MB, or more with a larger --ring]'
            cand --ring 'Size of each ring between kernel and recorder, in KiB, a power of two'
            cand --pid 'Record only this process and its descendants; may be repeated'
            cand --uid 'Record only processes of this user'
            cand --comm 'Record only processes of this name, as the kernel keeps it (15 bytes)'
            cand --cgroup 'Record only processes of this cgroup and those below it'
            cand --print 'Print events as they come, as `whence replay` would'
            cand --fail-on-loss 'Exit with 3 if anything was lost'
            cand --include-self 'Take stacks of the recorder itself too'
            cand --doctor 'Say what can be recorded on this host, what not, and what would enable it'
            cand --system-wide 'With COMMAND: record the whole host, not only what descends from it'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
