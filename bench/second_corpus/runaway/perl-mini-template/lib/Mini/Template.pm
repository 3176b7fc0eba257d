package Mini::Template;
use strict;
use warnings;
use Mini::Lexer;

my %FILTER = (
    upper => sub { uc $_[0] },
    trim  => sub { my $s = $_[0]; $s =~ s/^\s+|\s+$//g; $s },
);

sub render {
    my ($class, $text, $vars) = @_;
    $text =~ s/\{\{(.*?)\}\}/$class->value($1, $vars)/ge;
    return $text;
}

sub value {
    my ($class, $source, $vars) = @_;
    my ($first, @rest) = @{ Mini::Lexer->tokens($source) };
    my $value = $first->[0] eq 'name' ? $vars->{ $first->[1] } // '' : $first->[1];
    for my $token (@rest) {
        next if $token->[0] eq 'punct';
        my $filter = $FILTER{ $token->[1] } or die "no filter $token->[1]\n";
        $value = $filter->($value);
    }
    return $value;
}

1;
