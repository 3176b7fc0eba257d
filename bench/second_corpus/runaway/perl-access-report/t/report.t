use strict;
use warnings;
use Test::More;
use Access::Report;
use constant LINES => 760_000;

sub access_log {
    my ($lines) = @_;
    my @agents = ('Mozilla/5.0 (X11; Linux) \"quoted\"', 'curl/8.4', 'a' x 60);
    my $text = '';
    for my $i (1 .. $lines) {
        $text .= sprintf qq{10.%d.%d.%d - %s [%02d/Mar/2024:%02d:%02d:%02d +0100] "GET /page/%d/%s?session=%d HTTP/1.1" %d %s "https://shop.example/%s" "%s"\n},
            $i % 256, $i / 256 % 256, $i / 7 % 256, $i % 5 ? '-' : "user$i", 1 + $i % 28, $i % 24, $i % 60, $i % 59,
            $i % 97, 'x' x ($i % 40), $i, $i % 11 ? 200 : 404, $i % 13 ? $i : '-', 'r' x ($i % 30), $agents[$i % 3];
    }
    return $text;
}

my $one = Access::Report->new->add(access_log(1));
is $one->{entries}, 1, 'one entry';

my $log = access_log(LINES());
my $report = Access::Report->new->add($log);
is $report->{entries}, LINES(), 'every entry is found';
is $report->{status}{404}, int(LINES() / 11), 'misses';
my @top = $report->top(5);
is scalar(@top), 5, 'top pages';

# The same log once more, as another site's.
$report->add($log);
is $report->{entries}, 2 * LINES(), 'sites add up';

done_testing;
