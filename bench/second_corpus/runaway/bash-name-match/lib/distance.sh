# Edit distance of two words, in REPLY: no subshell, for it is called very often.
distance() {
    local a=$1 b=$2 i j left diagonal up cost
    local -a row
    for (( j = 0; j <= ${#b}; j++ )); do row[j]=$j; done
    for (( i = 1; i <= ${#a}; i++ )); do
        diagonal=${row[0]}
        row[0]=$i
        for (( j = 1; j <= ${#b}; j++ )); do
            [[ ${a:i-1:1} == "${b:j-1:1}" ]] && cost=0 || cost=1
            up=${row[j]}
            left=${row[j-1]}
            (( cost += diagonal ))
            (( up + 1 < cost )) && (( cost = up + 1 ))
            (( left + 1 < cost )) && (( cost = left + 1 ))
            diagonal=$up
            row[j]=$cost
        done
    done
    REPLY=${row[-1]}
}
