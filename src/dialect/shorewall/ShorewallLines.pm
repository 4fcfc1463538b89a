# Loaded into Shorewall's compiler (`perl -MShorewallLines`). With TRACK_RULES=File the compiler writes a
# comment `# FILE:LINE` before each rule, where the file may be one of Shorewall's own macros. This names
# the user's line that calls the macro. What Shorewall makes of the configuration is not changed.
package ShorewallLines;
use strict;
use warnings;

my $own = '/usr/share/shorewall';

# The files that are open, from the innermost out, with their lines.
sub frames {
    my @outer;
    for my $stack (@Shorewall::Config::openstack, \@Shorewall::Config::includestack) {
        push @outer, map { [$_->[1], $_->[2]] } @$stack;
    }
    my $here = [$Shorewall::Config::currentfilename, $Shorewall::Config::currentlinenumber];
    return ($here, reverse @outer);
}

sub place {
    for my $frame (frames()) {
        my ($file, $line) = @$frame;
        last unless defined $file and defined $line;
        return "$file:$line" unless $file =~ m,^\Q$own\E6?/,;
        # The rules of a macro are its caller's; those of an action are for all of its callers.
        last unless $file =~ m,/macro\.[^/]*\z,;
    }
    return;
}

INIT {
    no warnings qw(redefine prototype);
    no strict 'refs';
    if (defined &Shorewall::Config::shortlineinfo) {
        my $original = \&Shorewall::Config::shortlineinfo;
        my $named = sub {
            my $track = $Shorewall::Config::config{TRACK_RULES} || '';
            my $place = $track eq 'File' && $Shorewall::Config::currentfile ? place() : undef;
            return defined $place ? $place : &$original(@_);
        };
        # The other modules have imported it.
        for my $module (map { "Shorewall::$_" } map { /^(\w+)::\z/ } keys %Shorewall::) {
            next unless defined &{"${module}::shortlineinfo"};
            *{"${module}::shortlineinfo"} = $named;
        }
    }
}

1;
