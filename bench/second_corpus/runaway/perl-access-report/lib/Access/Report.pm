package Access::Report;
use strict;
use warnings;

my $octet  = qr/25[0-5]|2[0-4]\d|1?\d?\d/;
my $quoted = qr/"(?:[^"\\]|\\.)*"/;
my $entry  = qr{
    ^ (?<host> $octet (?: \. $octet ){3} ) \s+ \S+ \s+ (?<user> \S+ ) \s+
    \[ (?<day> \d\d / \w{3} / \d{4} ) : (?<time> \d\d (?: : \d\d ){2} ) \s [+-]\d{4} \] \s+
    " (?<method> [A-Z]+ ) \s (?<path> / (?: [^"\\\s?] | \\. )* ) (?: \? [^"\s]* )? \s HTTP/[\d.]+ " \s+
    (?<status> \d{3} ) \s+ (?<bytes> \d+ | - ) \s+ (?<referrer> $quoted ) \s+ (?<agent> $quoted ) $
}mx;

sub new {
    my ($class) = @_;
    return bless { entries => 0, bytes => 0, status => {}, pages => {} }, $class;
}

# Takes a whole log at once.
sub add {
    my ($self, $text) = @_;
    while ($text =~ /$entry/g) {
        my ($path, $status, $bytes) = @+{qw(path status bytes)};
        $self->{entries}++;
        $self->{bytes} += $bytes eq '-' ? 0 : $bytes;
        $self->{status}{$status}++;
        $self->{pages}{$path}++ if $status < 400;
    }
    return $self;
}

sub top {
    my ($self, $n) = @_;
    my $pages = $self->{pages};
    my @order = sort { $pages->{$b} <=> $pages->{$a} || $a cmp $b } keys %$pages;
    return @order[0 .. $n - 1];
}

1;
