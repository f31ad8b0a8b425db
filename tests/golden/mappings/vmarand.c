/* vmarand: random calls on one address space, every one logged with its arguments and answer, and with the lines of
 * /proc/self/smaps (range, permissions, offset, pages in memory, anonymous pages, VmFlags) that changed. No memory is allocated. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <fcntl.h>
#include <string.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/syscall.h>
typedef unsigned u;
#define P 4096u
static char raw[1<<19], out[1<<19]; static int on;
struct row { u start, end, off, rss, anon; char perm[5]; char flags[100]; char name[40]; };
#define ROWS 900
static struct row rows[2][ROWS]; static int n[2], cur;
static void flush(void){for(int o=0;o<on;){int k=write(1,out+o,on-o);if(k<=0)_exit(1);o+=k;}on=0;}
static void put(const char*s){int l=strlen(s);if(on+l>(int)sizeof out-200)flush();memcpy(out+on,s,l);on+=l;}
static void hex(u v){char b[12];int i=11;b[i]=0;do b[--i]="0123456789abcdef"[v&15];while(v>>=4);put(b+i);}
static u low=0x30000000;static u seed;
static u rnd(u m){seed^=seed<<13;seed^=seed>>17;seed^=seed<<5;return seed%m;}
static u gethex(char**q){u v=0;for(;;(*q)++){char c=**q;if(c>='0'&&c<='9')v=v*16+c-'0';else if(c>='a'&&c<='f')v=v*16+c-'a'+10;else return v;}}
static char*line(char*q){while(*q&&*q!='\n')q++;return *q?q+1:q;}
static void snapshot(int first){
 int f=open("/proc/self/smaps",O_RDONLY),k,l=0;while((k=read(f,raw+l,sizeof raw-1-l))>0)l+=k;close(f);raw[l]=0;
 int old=cur;cur=1-cur;struct row*r=rows[cur];int c=0;
 for(char*q=raw;*q&&c<ROWS;){char*e=line(q);
  if((*q>='0'&&*q<='9')||(*q>='a'&&*q<='f')){char*s=q;r[c].start=gethex(&s);s++;r[c].end=gethex(&s);s++;memcpy(r[c].perm,s,4);r[c].perm[4]=0;s+=5;r[c].off=gethex(&s);
   r[c].name[0]=0;char*t=e-1;while(t>q&&t[-1]!=' ')t--;int m=e-1-t;if(m>39)m=39;memcpy(r[c].name,t,m);r[c].name[m]=0;}
  else if(!strncmp(q,"Rss:",4)){u z=0;for(char*s=q+4;s<e;s++)if(*s>=48&&*s<=57)z=z*10+*s-48;r[c].rss=z/4;}
  else if(!first&&!strncmp(q,"Anonymous:",10)){u z=0;for(char*s=q+10;s<e;s++)if(*s>=48&&*s<=57)z=z*10+*s-48;r[c].anon=z/4;}
  else if(!strncmp(q,"VmFlags:",8)){int m=e-1-(q+9);if(m>99)m=99;memcpy(r[c].flags,q+9,m);while(m>0&&r[c].flags[m-1]==' ')m--;r[c].flags[m]=0;c++;}
  else if(first&&!strncmp(q,"Anonymous:",10)){put("= ");hex(r[c].start);put(" ");int z=0;for(char*s=q+10;s<e;s++)if(*s>='1'&&*s<='9')z=1;put(z?"anon\n":"none\n");}
  q=e;}
 n[cur]=c;struct row*o=rows[old];int i=0,j=0;if(first)n[old]=0;
 while(i<n[old]||j<c){
  if(i<n[old]&&j<c&&!memcmp(&o[i],&r[j],o[i].start<low||o[i].start>=0xb6ffd000u?12:20)&&!strcmp(o[i].perm,r[j].perm)&&!strcmp(o[i].flags,r[j].flags)){i++;j++;continue;}
  if(i<n[old]&&(j>=c||o[i].start<=r[j].start)){put("- ");hex(o[i].start);put("\n");i++;}
  else{put("+ ");hex(r[j].start);put(" ");hex(r[j].end);put(" ");put(r[j].perm);put(" ");hex(r[j].off);put(" ");put(r[j].name[0]?r[j].name:"-");put(" ");hex(r[j].rss);put(" ");hex(r[j].anon);put(" ");put(r[j].flags);put("\n");j++;}}
 f=open("/proc/self/status",O_RDONLY);l=0;while((k=read(f,raw+l,sizeof raw-1-l))>0)l+=k;close(f);raw[l]=0;
 put("s");for(char*q=raw;*q;q=line(q))if(!strncmp(q,"VmSize",6)||!strncmp(q,"VmLck",5)||!strncmp(q,"VmData",6)||!strncmp(q,"VmStk",5)||!strncmp(q,"VmExe",5)||!strncmp(q,"VmPeak",6)){put(" ");u v=0;for(char*s=q;*s!='\n';s++)if(*s>='0'&&*s<='9')v=v*10+*s-'0';hex(v);}
 put("\n");
 f=open("/proc/meminfo",O_RDONLY);l=0;while((k=read(f,raw+l,sizeof raw-1-l))>0)l+=k;close(f);raw[l]=0;
}

static u anaddr(void){ /* an address near what is there, or in a small arena */
 int k=rnd(10),i=rnd(n[cur]?n[cur]:1);struct row*r=&rows[cur][i];
 for(int t=0;t<6&&(r->end<low||r->start>=0xbf000000u||r->start>0xbe000000u||(r->name[0]=='['&&r->name[1]!='h'));t++){i=rnd(n[cur]);r=&rows[cur][i];}
 if(r->end<low||r->start>=0xbe000000u||r->name[0]=='[')return low+rnd(300)*P;
 if(k<4)return r->start+rnd((r->end-r->start)/P)*P;if(k<6)return r->start;if(k<8)return r->end;if(k<9)return low+rnd(300)*P;
 return r->start+(rnd(40)-20)*P;}
static u alen(void){int k=rnd(12);return k<9?(1+rnd(12))*P:k<11?(1+rnd(60))*P:(1+rnd(5))*P-rnd(3000);}
static u aprot(void){static const u p[]={0,1,3,3,3,3,5,7,1,2,4,6};return p[rnd(12)];}
static int fds[6];
static sigjmp_buf jb;static void caught(int s){siglongjmp(jb,s);}static char alt[16384];
#define S(...) ({long r_=syscall(__VA_ARGS__);r_==-1?(u)-errno:(u)r_;})
static void op(const char*name,int k,u*a,u ret){put("o ");put(name);for(int i=0;i<k;i++){put(" ");hex(a[i]);}put(" = ");hex(ret);put("\n");snapshot(0);if(on>200000)flush();}
static u limit[4];
static void step(int rare){
 u a[6];memset(a,0,sizeof a);int k=rnd(100);u r;
 if(k<30){static const u fl[]={0x22,0x22,0x22,0x22,0x22,0x21,0x21,1,2,2,3,0x23,0x20,0};
  a[0]=rnd(3)?anaddr():0;if(rnd(20)==0)a[0]=rnd(5)*P+rnd(2);a[1]=alen();a[2]=aprot();a[3]=fl[rnd(14)];
  if(a[0]&&rnd(2))a[3]|=rnd(5)?0x10:0x100000;
  if(!rnd(6)&&!(a[3]&0x10&&a[0]<low))a[3]|=0x100;if(!rnd(8))a[3]|=0x8000;if(!rnd(14))a[3]|=0x2000;if(!rnd(10))a[3]|=0x4000;if(!rnd(20))a[3]|=0x10000;if(!rnd(40))a[3]|=1u<<(5+rnd(27));
  if(a[3]&0x10&&a[0]<low&&a[0]>=2*P)a[0]=low+a[0]%(300*P)/P*P;
  if(a[3]&0x10&&a[0]+a[1]>0xb6f00000u&&a[0]>0xb0000000u){int i;for(i=0;i<n[cur];i++)if(rows[cur][i].name[0]=='['&&rows[cur][i].start<a[0]+a[1]&&rows[cur][i].end>a[0])a[0]=low+rnd(300)*P;}
  a[4]=a[3]&0x20?(rnd(2)?-1:(u)fds[rnd(6)]):(u)fds[rnd(6)];if(rnd(50)==0)a[4]=99;a[5]=rnd(3)?rnd(14):rnd(40)?0:0xfffffu-rnd(9);
  if(rnd(60)==0)a[1]=rnd(2)?0:0xffffffffu-rnd(P*2);if(rnd(60)==0)a[1]=0x1000000u*rnd(200);
  if(a[3]&0x8000&&a[1]>0x4000000)a[3]&=~0x8000;if(a[3]&0x2000&&a[1]>0x4000000)a[3]&=~0x2000;
  r=S(SYS_mmap2,a[0],a[1],a[2],a[3],a[4],a[5]);op("mmap2",6,a,r);}
 else if(k<42){a[0]=anaddr();a[1]=alen();if(a[0]<low){return;}if(rnd(50)==0)a[1]=0;if(rnd(50)==0)a[0]+=5;
  for(int i=0;i<n[cur];i++)if((rows[cur][i].name[0]=='['||rows[cur][i].start<low)&&rows[cur][i].start<a[0]+a[1]&&rows[cur][i].end>a[0])return;
  r=S(SYS_munmap,a[0],a[1]);op("munmap",2,a,r);}
 else if(k<57){a[0]=anaddr();a[1]=alen();a[2]=aprot();if(a[0]<low)return;if(rnd(25)==0)a[2]|=rnd(2)?0x1000000:0x2000000;if(rnd(40)==0)a[2]|=8<<rnd(4);
  for(int i=0;i<n[cur];i++)if((rows[cur][i].name[0]=='['||rows[cur][i].start<low)&&rows[cur][i].start<a[0]+a[1]&&rows[cur][i].end>a[0])return;
  r=S(SYS_mprotect,a[0],a[1],a[2]);op("mprotect",3,a,r);}
 else if(k<66){a[0]=anaddr();a[1]=alen();a[2]=alen();a[3]=rnd(4)?1:rnd(8);a[4]=anaddr();if(!rnd(4))a[1]=a[2];if(!rnd(15))a[1]=0;if(a[0]<low)return;if(a[3]&2&&a[4]<low)a[4]=low;
  for(int i=0;i<n[cur];i++)if((rows[cur][i].name[0]=='['||rows[cur][i].start<low)){u s=rows[cur][i].start,e=rows[cur][i].end;if((s<a[0]+a[1]&&e>a[0])||(a[3]&2&&s<a[4]+a[2]&&e>a[4]))return;}
  r=S(SYS_mremap,a[0],a[1],a[2],a[3],a[4]);op("mremap",5,a,r);}
 else if(k<74){static const u ad[]={0,1,2,3,4,8,10,11,12,13,14,16,17,18,19,20,5,6,7,100,22,4,10,11};a[0]=anaddr();a[1]=alen();a[2]=ad[rnd(24)];if(a[0]<low)return;
  for(int i=0;i<n[cur];i++)if((rows[cur][i].name[0]=='['||rows[cur][i].start<low)&&rows[cur][i].start<a[0]+a[1]&&rows[cur][i].end>a[0])return;
  r=S(SYS_madvise,a[0],a[1],a[2]);op("madvise",3,a,r);}
 else if(k<80){a[0]=anaddr()+(rnd(5)?0:rnd(P));a[1]=alen();int w=rnd(6);
  for(int i=0;i<n[cur];i++)if((rows[cur][i].name[0]=='['||rows[cur][i].start<low)&&rows[cur][i].start<a[0]+a[1]&&rows[cur][i].end>a[0])return;
  if(w<3){r=S(SYS_mlock,a[0],a[1]);op("mlock",2,a,r);}else if(w<5){r=S(SYS_munlock,a[0],a[1]);op("munlock",2,a,r);}
  else{a[2]=rnd(5)?1:rnd(4);r=S(390,a[0],a[1],a[2]);op("mlock2",3,a,r);}}
 else if(k<84){u b=S(SYS_brk,0);a[0]=b+(rnd(30)-14)*P+rnd(3)*100;if(!rnd(10))a[0]=rnd(2)?100:0x60000000;r=S(SYS_brk,a[0]);op("brk",1,a,r);}
 else if(k<86){a[0]=anaddr();a[1]=alen();a[2]=rnd(8);if(a[0]<low)return;r=S(SYS_msync,a[0],a[1],a[2]);op("msync",3,a,r);}
 else if(k<99){a[0]=anaddr()+rnd(P);if(!rnd(3))a[0]-=P*rnd(30);a[1]=rnd(2);if(a[0]<low)return;
  for(int i=0;i<n[cur];i++)if((rows[cur][i].name[0]=='['||rows[cur][i].start<low)&&rows[cur][i].start<=a[0]&&rows[cur][i].end>a[0])return;
  int s=sigsetjmp(jb,1);if(!s){volatile char*p=(char*)a[0];if(a[1])*p=1;else(void)*p;}
  op("touch",2,a,s);}
 else if(!rare)return;
 else{int w=rnd(6);if(w<2){a[0]=rnd(10);r=S(SYS_mlockall,a[0]);op("mlockall",1,a,r);r=S(SYS_munlockall);op("munlockall",0,a,r);}
  else if(w<3){r=S(SYS_munlockall);op("munlockall",0,a,r);}
  else{static const int res[]={RLIMIT_AS,RLIMIT_DATA,RLIMIT_MEMLOCK,RLIMIT_STACK};int z=rnd(4);struct rlimit l;u v;
   if(rnd(3)==0)v=-1;else if(z==0)v=low?0x2000000+rnd(4000)*P:0;else if(z==1)v=0x400000+rnd(1000)*P;else if(z==2)v=rnd(200)*P;else v=(40+rnd(100))*P;
   if(z==3&&v==(u)-1)v=8<<20;
   l.rlim_cur=v==(u)-1?RLIM_INFINITY:v;l.rlim_max=RLIM_INFINITY;a[0]=res[z];a[1]=v;r=setrlimit(res[z],&l)?-errno:0;op("setrlimit",2,a,r);}}}
int main(int c,char**v){
 mount("proc","/proc","proc",0,0);mkdir("/t",0755);mount("tmpfs","/t","tmpfs",0,0);
 static char pg[P];const char*nm[]={"/t/a","/t/b"};
 for(int i=0;i<2;i++){int f=open(nm[i],O_CREAT|O_RDWR,0600);for(int j=0;j<20;j++){pg[0]=j;write(f,pg,P);}
  fds[i*3]=f;fds[i*3+1]=open(nm[i],O_RDONLY);fds[i*3+2]=open(nm[i],O_WRONLY);}
 stack_t st={.ss_sp=alt,.ss_size=sizeof alt};sigaltstack(&st,0);struct sigaction sa;memset(&sa,0,sizeof sa);sa.sa_handler=caught;sa.sa_flags=SA_ONSTACK|SA_NODEFER;sigaction(SIGSEGV,&sa,0);sigaction(SIGBUS,&sa,0);
 volatile char deep[60000];for(unsigned i=0;i<sizeof deep;i+=1000)deep[i]=1; /* the stack and bss are there before the first look */
 for(unsigned i=0;i<sizeof raw;i+=P)raw[i]=0,out[i]=0;for(unsigned i=0;i<sizeof rows;i+=P)((char*)rows)[i]=0;
 int cmd=open("/proc/cmdline",O_RDONLY);char cl[600];int l=read(cmd,cl,599);cl[l>0?l:0]=0;close(cmd);
 char*q=strstr(cl,"seed=");seed=q?atoi(q+5):1;q=strstr(cl,"calls=");int calls=q?atoi(q+6):2000;q=strstr(cl,"user=");int user=q!=0;if(!seed)seed=1;
 put("@@BEGIN\n");put("f");for(int i=0;i<6;i++){put(" ");hex(fds[i]);}put("\n");
 if(user){put("o user = 0\n");}
 put("b ");hex(S(SYS_brk,0));put("\n");
 if(user&&(setresgid(1000,1000,1000)||setresuid(1000,1000,1000)))put("error\n");
 snapshot(1);
 for(int i=0;i<calls;i++){step(1);
  if(n[cur]>400){u a[2]={low,0x80000000u-low};u r=S(SYS_munmap,a[0],a[1]);op("munmap",2,a,r);}}
 put("@@END\n");flush();sync();
 if(user)_exit(0);
 reboot(RB_AUTOBOOT);for(;;)pause();}
