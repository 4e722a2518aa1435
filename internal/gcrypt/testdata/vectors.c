/* vectors: makes keys and signatures with libgcrypt, as Guix does (guix/pk-crypto.scm), and prints them for gcrypt_test.go:
 *
 *	cc vectors.c -lgcrypt -o vectors && ./vectors > vectors.txt
 *
 * Each record is a public key, a text, and the signature of its SHA-256; the expressions are in libgcrypt's advanced form, and the last signature
 * in canonical form, as hexadecimal digits. Keys are made anew each time. With the name of a file, such as the part of a narinfo that is signed, it
 * prints a key, and the signature of the file in advanced form.
 */
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(gcry_error_t err) {
	if (err) {
		fprintf(stderr, "%s\n", gcry_strerror(err));
		exit(1);
	}
}

static size_t print(gcry_sexp_t s, int mode, char **to) {
	size_t n = gcry_sexp_sprint(s, mode, NULL, 0);
	*to = malloc(n);
	return gcry_sexp_sprint(s, mode, *to, n);
}

static void line(const char *text) {
	for (; *text; text++) putchar(*text == '\n' ? ' ' : *text);
	putchar('\n');
}

int main(int argc, char **argv) {
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	for (int i = 0; i < 16; i++) {
		gcry_sexp_t params, pair, data, value, whole;
		check(gcry_sexp_build(&params, NULL, "(genkey (ecdsa (nbits 3:256) (curve Ed25519) (flags rfc6979 transient-key)))"));
		check(gcry_pk_genkey(&pair, params));
		gcry_sexp_t pub = gcry_sexp_find_token(pair, "public-key", 0), sec = gcry_sexp_find_token(pair, "private-key", 0);
		char message[32], *text;
		unsigned char hash[32];
		snprintf(message, sizeof message, "text %d", i);
		gcry_md_hash_buffer(GCRY_MD_SHA256, hash, message, strlen(message));
		if (argc > 1) {
			static char file[1 << 20];
			gcry_md_hash_buffer(GCRY_MD_SHA256, hash, file, fread(file, 1, sizeof file, fopen(argv[1], "rb")));
		}
		check(gcry_sexp_build(&data, NULL, "(data (flags rfc6979) (hash sha256 %b))", 32, hash));
		check(gcry_pk_sign(&value, data, sec));
		check(gcry_pk_verify(value, data, pub));
		check(gcry_sexp_build(&whole, NULL, "(signature %S %S %S)", data, value, pub));
		print(pub, GCRYSEXP_FMT_ADVANCED, &text);
		line(text);
		if (argc > 1) {
			print(whole, GCRYSEXP_FMT_ADVANCED, &text);
			line(text);
			return 0;
		}
		printf("%s\n", message);
		if (i < 15) {
			print(whole, GCRYSEXP_FMT_ADVANCED, &text);
			line(text);
			continue;
		}
		size_t n = print(whole, GCRYSEXP_FMT_CANON, &text);
		for (size_t k = 0; k < n; k++) printf("%02x", (unsigned char)text[k]);
		putchar('\n');
	}
}
