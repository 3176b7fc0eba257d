package Log::Tail;
use strict;
use warnings;
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);

sub new {
    my ($class, $handle) = @_;
    my $flags = fcntl($handle, F_GETFL, 0) or die "fcntl: $!";
    fcntl($handle, F_SETFL, $flags | O_NONBLOCK) or die "fcntl: $!";
    return bless { handle => $handle, buffer => '' }, $class;
}

# The next full line, or undef at the end.
sub next_line {
    my ($self) = @_;
    while (1) {
        return $1 if $self->{buffer} =~ s/^([^\n]*)\n//;
        my $got = sysread($self->{handle}, my $chunk, 8192);
        next unless defined $got;
        return undef if $got == 0;
        $self->{buffer} .= $chunk;
    }
}

1;
