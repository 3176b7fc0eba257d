use strict;
use warnings;
use Test::More tests => 3;
use Log::Entry;

my $entry = Log::Entry->parse('2024-03-01 12:00:00 WARN disk is nearly full');
is $entry->{text}, 'disk is nearly full', 'text';
ok $entry->is_problem, 'a warning is a problem';
is(Log::Entry->parse('garbage'), undef, 'not an entry');
