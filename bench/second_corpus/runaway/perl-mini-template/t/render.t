use strict;
use warnings;
use Test::More tests => 4;
use Mini::Template;

$SIG{ALRM} = sub { die "a template took too long\n" };

sub render {
    my (@args) = @_;
    alarm 11;
    my $text = eval { Mini::Template->render(@args) };
    alarm 0;
    return $text // "error: $@";
}

is render('Dear {{ name }},', { name => 'Ann' }), 'Dear Ann,', 'a name';
is render('{{ name | upper }}!', { name => 'Ann' }), 'ANN!', 'a filter';
is render('{{ "x y" }}', {}), 'x y', 'a string';
like render("{{ 'x y' | upper }}", {}), qr/^error: unexpected/, 'single quotes are refused';
