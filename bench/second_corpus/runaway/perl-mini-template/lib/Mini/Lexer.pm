package Mini::Lexer;
use strict;
use warnings;

# Takes the inside of a tag apart: [type, text] pairs.
sub tokens {
    my ($class, $source) = @_;
    my @tokens;
    pos($source) = 0;
    while (pos($source) < length $source) {
        if ($source =~ /\G\s+/gc) {
            next;
        }
        elsif ($source =~ /\G([A-Za-z_]\w*(?:\.\w+)*)/gc) {
            push @tokens, [name => $1];
        }
        elsif ($source =~ /\G(\d+)/gc) {
            push @tokens, [number => $1];
        }
        elsif ($source =~ /\G"([^"]*)"/gc) {
            push @tokens, [string => $1];
        }
        elsif ($source =~ /\G([|(),])/gc) {
            push @tokens, [punct => $1];
        }
    }
    return \@tokens;
}

1;
