use strict;
use warnings;
use Test::More tests => 3;
use Log::Tail;

sub writer {
    my (@parts) = @_;
    my $pid = open(my $from, '-|') // die "fork: $!";
    if (!$pid) {
        $| = 1;
        for my $part (@parts) {
            $part =~ /^\d+$/ ? sleep $part : print $part;
        }
        exit 0;
    }
    return $from;
}

my $tail = Log::Tail->new(writer("one\ntwo\n"));
is $tail->next_line, 'one', 'first line';
is $tail->next_line, 'two', 'second line';

# A slow program says half a line, and the rest when it is through.
$tail = Log::Tail->new(writer('copying 3 files ... ', 12, "done\n"));
is $tail->next_line, 'copying 3 files ... done', 'line in two parts';
