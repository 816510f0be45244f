
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'whence-record' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'whence-record'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'whence-record' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Directory to write, which must not exist [default: HOST-YYYYMMDDTHHMMSSZ.whence]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Directory to write, which must not exist [default: HOST-YYYYMMDDTHHMMSSZ.whence]')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Stop after this long, as in 30s, 10m, 2h [default: until interrupted]')
            [CompletionResult]::new('--duration', '--duration', [CompletionResultType]::ParameterName, 'Stop after this long, as in 30s, 10m, 2h [default: until interrupted]')
            [CompletionResult]::new('--sample', '--sample', [CompletionResultType]::ParameterName, 'CPU stacks per CPU and second; 0 for none')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Take a stack at each hit of PROBE: tracepoint:CATEGORY:NAME, where * stands for any text')
            [CompletionResult]::new('--stack', '--stack', [CompletionResultType]::ParameterName, 'Take a stack at each hit of PROBE: tracepoint:CATEGORY:NAME, where * stands for any text')
            [CompletionResult]::new('--unwind', '--unwind', [CompletionResultType]::ParameterName, 'How call paths of user code are found')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Keep these environment variables of each exec')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'How often files are completed: the most that a crash can lose')
            [CompletionResult]::new('--flight-recorder', '--flight-recorder', [CompletionResultType]::ParameterName, 'Keep only the newest time, or size, or both, as in 10m,1GB: a flight recorder. It goes on in the same directory when it is started again')
            [CompletionResult]::new('--trigger', '--trigger', [CompletionResultType]::ParameterName, 'Keep what the flight recorder has, beside its directory, when this happens: exec:PATTERN (command line), exit:NAME[:STATUS], probe:EVENT; * stands for any text; may be repeated. SIGUSR1 does the same')
            [CompletionResult]::new('--snapshot-of', '--snapshot-of', [CompletionResultType]::ParameterName, 'Make a recording of what the flight recorder in DIR has, and end')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How --doctor answers')
            [CompletionResult]::new('--max-size', '--max-size', [CompletionResultType]::ParameterName, 'Most that the recording may take on disk, such as 500MB: stacks stop when four fifths are used, and the recording ends when all is [default: no limit]')
            [CompletionResult]::new('--keep-free', '--keep-free', [CompletionResultType]::ParameterName, 'Room on the disk that is left to others: stacks stop before it is touched, and the recording ends before half of it is; at most a twentieth of the disk')
            [CompletionResult]::new('--max-memory', '--max-memory', [CompletionResultType]::ParameterName, 'Most memory that the recorder may take, the rings included, each of which counts double [default: 128MB, or more with a larger --ring]')
            [CompletionResult]::new('--ring', '--ring', [CompletionResultType]::ParameterName, 'Size of each ring between kernel and recorder, in KiB, a power of two')
            [CompletionResult]::new('--pid', '--pid', [CompletionResultType]::ParameterName, 'Record only this process and its descendants; may be repeated')
            [CompletionResult]::new('--uid', '--uid', [CompletionResultType]::ParameterName, 'Record only processes of this user')
            [CompletionResult]::new('--comm', '--comm', [CompletionResultType]::ParameterName, 'Record only processes of this name, as the kernel keeps it (15 bytes)')
            [CompletionResult]::new('--cgroup', '--cgroup', [CompletionResultType]::ParameterName, 'Record only processes of this cgroup and those below it')
            [CompletionResult]::new('--print', '--print', [CompletionResultType]::ParameterName, 'Print events as they come, as `whence replay` would')
            [CompletionResult]::new('--fail-on-loss', '--fail-on-loss', [CompletionResultType]::ParameterName, 'Exit with 3 if anything was lost')
            [CompletionResult]::new('--include-self', '--include-self', [CompletionResultType]::ParameterName, 'Take stacks of the recorder itself too')
            [CompletionResult]::new('--doctor', '--doctor', [CompletionResultType]::ParameterName, 'Say what can be recorded on this host, what not, and what would enable it')
            [CompletionResult]::new('--system-wide', '--system-wide', [CompletionResultType]::ParameterName, 'With COMMAND: record the whole host, not only what descends from it')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
