/* Wine 8.0 lacks bcryptprimitives.dll, whose one function cryptography and bcrypt (Rust >= 1.78)
   import; Windows has it. Random bytes by the older way. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T left)
{
    while (left) {
        ULONG count = left > 0x10000000 ? 0x10000000 : (ULONG)left;
        if (!SystemFunction036(bytes, count))
            return FALSE;
        bytes += count;
        left -= count;
    }
    return TRUE;
}
