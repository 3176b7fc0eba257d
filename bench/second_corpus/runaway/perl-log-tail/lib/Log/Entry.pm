package Log::Entry;
use strict;
use warnings;

# Takes "2024-03-01 12:00:00 WARN text" apart.
sub parse {
    my ($class, $line) = @_;
    my ($day, $time, $level, $text) = $line =~ /^(\S+) (\S+) ([A-Z]+) (.*)$/ or return;
    return bless { day => $day, time => $time, level => $level, text => $text }, $class;
}

sub is_problem { $_[0]{level} =~ /^(?:WARN|ERROR)$/ }

1;
