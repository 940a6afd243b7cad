# Writes the manual pages of the C interface, section 3, from the comments of include/herald.h: herald.3, and a page for
# each function, struct and callback.
#
#   awk -v out=FOLDER -v version=0.1.0 -f man3.awk include/herald.h include/herald.h
#
# The header is read twice: first for the names there are, so that pages refer to each other.

# ---- Text ----

# Text of a comment as roff takes it.
function roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    if (text ~ /^[.']/) text = "\\&" text
    return text
}

# The comment that was read last, without its frame: paragraphs with newlines between.
function comment_line(line) {
    sub(/^ *\/\*\*? ?/, "", line)
    sub(/ *\*\/ *$/, "", line)
    sub(/^ *\* ?/, "", line)
    sub(/^ +/, "", line)
    if (line == "") doc = (doc == "" || doc ~ /\n$/) ? doc : doc "\n"
    else doc = doc ((doc == "" || doc ~ /\n$/) ? "" : " ") line
}

function paragraphs(text, file,    parts, count, i) {
    count = split(text, parts, "\n")
    for (i = 1; i <= count; i++) if (parts[i] != "") {
        if (i > 1) print ".PP" > file
        print roff(parts[i]) > file
    }
}

# The first sentence of a text, without what stands in brackets before it and without its full stop.
function first_sentence(text) {
    sub(/^\[[^]]*\] /, "", text)
    sub(/\n.*/, "", text)
    if (match(text, /(\. |: )/)) text = substr(text, 1, RSTART - 1)
    sub(/ \([^)]*$/, "", text)
    sub(/\.$/, "", text)
    return text
}

# ---- Pages ----

function begin_page(name, what,    file) {
    file = out "/" name ".3"
    printf ".TH %s 3 \"\" \"herald %s\" \"Herald\"\n.nh\n.ad l\n.SH NAME\n%s \\- %s\n", name, version, name, roff(what) > file
    return file
}

function synopsis(code, file,    lines, count, i) {
    print ".SH SYNOPSIS\n.nf\n.B #include <herald.h>\n.PP" > file
    count = split(code, lines, "\n")
    for (i = 1; i <= count; i++) print (lines[i] == "" ? ".PP" : roff(lines[i])) > file
    print ".fi" > file
}

# Refers to whatever else is named in the text.
function see_also(name, text, file,    seen, found, list) {
    list = "herald(3)"
    seen[name] = 1
    while (match(text, /herald_[a-z_]+/)) {
        found = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        if (found in page_of && !(page_of[found] in seen)) {
            seen[page_of[found]] = 1
            list = list ",\n" page_of[found] "(3)"
        }
    }
    print ".SH \"SEE ALSO\"\n" list > file
    close(file)
}

# A page about a function: what it does, on which thread, what comes back.
function function_page(name, code,    file, text, thread) {
    text = doc
    if (match(text, /^\[[^]]*\] /)) {
        thread = substr(text, 2, RLENGTH - 3)
        text = substr(text, RLENGTH + 1)
    }
    file = begin_page(name, first_sentence(doc))
    synopsis(code, file)
    print ".PP\nCompile and link with $(pkg\\-config \\-\\-cflags \\-\\-libs herald)." > file
    print ".SH DESCRIPTION" > file
    paragraphs(text, file)
    if (code ~ /^herald_status /)
        print ".SH \"RETURN VALUE\"\nHERALD_OK (0), or a negative status: herald(3) has them all." > file
    if (thread != "") print ".SH THREADS\n" toupper(substr(thread, 1, 1)) substr(thread, 2) "." > file
    see_also(name, code " " doc, file)
    functions = functions ".TP\n.BR " name " (3)\n" roff(first_sentence(doc)) "\n"
}

# A page about a type; members are its fields with their texts.
function type_page(name, code, members,    file) {
    file = begin_page(name, first_sentence(doc))
    synopsis(code, file)
    print ".SH DESCRIPTION" > file
    paragraphs(doc, file)
    if (members != "") printf ".SH MEMBERS\n%s", members > file
    see_also(name, code " " doc " " members, file)
    types = types ".TP\n.BR " name " (3)\n" roff(first_sentence(doc)) "\n"
}

function main_page(    file) {
    file = begin_page("herald", "a Call Placement Service (RFC 8816) to embed")
    synopsis("", file)
    print ".SH DESCRIPTION" > file
    paragraphs(overview, file)
    printf ".SH FUNCTIONS\n%s.SH TYPES\n%s.SH STATUSES\n%s.SH CONSTANTS\n%s", functions, types, statuses, constants > file
    print ".SH \"SEE ALSO\"\nherald(1) is the service as a program." > file
    close(file)
}

# ---- Reading ----

# The first reading: names and the pages that tell of them.
NR == FNR {
    if (match($0, /^} herald_[a-z_]+;/)) page_of[substr($0, 3, RLENGTH - 3)] = substr($0, 3, RLENGTH - 3)
    else if (/^typedef / && match($0, /\*herald_[a-z_]+_fn\)/)) page_of[substr($0, RSTART + 1, RLENGTH - 2)] = substr($0, RSTART + 1, RLENGTH - 2)
    else if (/^typedef struct herald_[a-z_]+ herald_[a-z_]+;/) page_of[$3] = $3
    else if (/^[a-z].* \**herald_[a-z_]+\(/ && match($0, /herald_[a-z_]+\(/)) page_of[substr($0, RSTART, RLENGTH - 1)] = substr($0, RSTART, RLENGTH - 1)
    next
}

# The head of the file is the text of herald(3).
FNR == 1 { in_comment = 1 }

in_comment || /^ *\/\*\*/ {
    if (!in_comment) doc = ""
    comment_line($0)
    in_comment = $0 !~ /\*\//
    if (overview == "" && !in_comment) {
        # The first line names the file, the second speaks to those who change it.
        overview = doc
        sub(/^[^\n]*\n[^\n]*\n/, "", overview)
        doc = ""
    }
    if (!in_comment && code != "") member_doc = doc
    if (!in_comment && code != "") doc = type_doc
    next
}

# Inside a struct: its fields, each with the comment before it.
code != "" && in_struct {
    code = code "\n" $0
    if (/^}/) {
        name = substr($0, 3)
        sub(/;.*/, "", name)
        doc = type_doc
        type_page(name, code, members)
        code = in_struct = members = ""
    } else if (member_doc != "") {
        field = $0
        sub(/^ +/, "", field)
        sub(/;$/, "", field)
        members = members ".TP\n.B " roff(field) "\n" roff(member_doc) "\n"
        member_doc = ""
    }
    next
}

/^typedef struct herald_[a-z_]+ {/ {
    in_struct = 1
    type_doc = doc
    code = $0
    next
}

/^typedef struct herald_[a-z_]+ herald_/ {
    name = $4
    sub(/;/, "", name)
    type_page(name, $0, "")
    next
}

/^typedef .*\*herald_[a-z_]+_fn\)/ {
    match($0, /herald_[a-z_]+_fn/)
    type_page(substr($0, RSTART, RLENGTH), $0, "")
    next
}

/^ +HERALD_[A-Z_]+ = / {
    sub(/,$/, "", $3)
    statuses = statuses ".TP\n.BR " $1 " (" roff($3) ")\n" roff(doc) "\n"
    next
}

/^#define HERALD_[A-Z_]+[ (]/ && doc != "" {
    constants = constants ".TP\n.B " roff($2) "\n" roff(doc) "\n"
    doc = ""
    next
}

# A function, over as many lines as it takes.
code != "" || /^[a-z].*[ *]herald_[a-z_]+\(/ {
    code = code (code == "" ? "" : "\n") $0
    if (/;$/) {
        match(code, /herald_[a-z_]+\(/)
        function_page(substr(code, RSTART, RLENGTH - 1), code)
        code = doc = ""
    }
}

END { main_page() }
